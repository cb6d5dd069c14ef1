import type { V1Ingress, V1Service } from "@kubernetes/client-node";
import type { RuleCondition } from "../contracts/load-balancing.ts";
import { Problem } from "../core/problem.ts";
import { Annotations, idsOf, listIn, objectIn, textIn } from "./annotations.ts";
import { INGRESS_PREFIX, isGroupName, nameOf } from "./ingress-group.ts";
import type { Access, HealthCheckModel } from "./model.ts";

/** What an Ingress' annotations say, beside its rules. */
export interface IngressSettings {
  readonly scheme?: "internal" | "internet-facing";
  readonly loadBalancerName?: string;
  readonly subnetIds?: readonly string[];
  readonly access?: Access;
  readonly cidrs?: readonly string[];
  readonly balancerAttributes: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly actions: ReadonlyMap<string, unknown>;
  readonly conditions: ReadonlyMap<string, readonly RuleCondition[]>;
}

const NO_HTTPS = "HTTPS listeners are not built yet: there are no certificates; use HTTP";
/** Read for each service of its own, with the service's annotations. */
const OF_TARGETS = [
  "target-type",
  "backend-protocol",
  "backend-protocol-version",
  "healthcheck-protocol",
  "healthcheck-port",
  "healthcheck-path",
  "healthcheck-interval-seconds",
  "healthcheck-timeout-seconds",
  "healthy-threshold-count",
  "unhealthy-threshold-count",
  "success-codes",
  "target-group-attributes",
];

/** @throws Problem `invalid`, `unsupported`: an annotation that cannot be followed. Pure. */
export function readIngress(ingress: V1Ingress): IngressSettings {
  const notes = new Annotations(ingress.metadata?.annotations, INGRESS_PREFIX);
  for (const name of ["certificate-arn", "ssl-redirect", "ssl-policy"]) {
    if (notes.text(name) !== undefined) throw new Problem("unsupported", `annotation ${INGRESS_PREFIX}${name}: ${NO_HTTPS}`);
  }
  const group = notes.text("group.name");
  if (group !== undefined && !isGroupName(group)) {
    const words = "has lower-case letters, digits, - and ., 63 at most, and begins and ends with a letter or digit";
    throw new Problem("invalid", `annotation ${INGRESS_PREFIX}group.name: the name of a group ${words}: ${group}`);
  }
  notes.text("group.order");
  notes.choice("ip-address-type", ["ipv4"]);
  const groupIds = idsOf(notes, "security-groups", "sg");
  const reachesPods = notes.flag("manage-backend-security-group-rules") ?? false;
  const settings: IngressSettings = {
    scheme: notes.choice("scheme", ["internal", "internet-facing"]),
    loadBalancerName: notes.text("load-balancer-name"),
    subnetIds: idsOf(notes, "subnets", "subnet"),
    ...(groupIds !== undefined && { access: { kind: "given", groupIds, reachesPods } as const }),
    cidrs: notes.list("inbound-cidrs"),
    balancerAttributes: notes.pairs("load-balancer-attributes"),
    tags: notes.pairs("tags"),
    ports: listenPorts(notes.json("listen-ports")),
    actions: new Map(notes.named("actions.").map((name) => [name, notes.json(`actions.${name}`)])),
    conditions: new Map(notes.named("conditions.").map((name) => [name, readConditions(notes.json(`conditions.${name}`), name)])),
  };
  for (const name of OF_TARGETS) notes.text(name);
  notes.refuseRest();
  return settings;
}

function listenPorts(value: unknown): readonly number[] {
  if (value === undefined) return [80];
  const wrong = new Problem("invalid", `annotation ${INGRESS_PREFIX}listen-ports: use a list such as [{"HTTP": 80}]`);
  if (!Array.isArray(value) || value.length === 0) throw wrong;
  return value.flatMap((entry: unknown) =>
    Object.entries(typeof entry === "object" && entry !== null ? entry : { "": entry }).map(([protocol, port]) => {
      if (protocol === "HTTPS") throw new Problem("unsupported", `annotation ${INGRESS_PREFIX}listen-ports: ${NO_HTTPS}`);
      if (protocol !== "HTTP" || typeof port !== "number" || port < 1 || port > 65_535) throw wrong;
      return port;
    }),
  );
}

function readConditions(value: unknown, name: string): readonly RuleCondition[] {
  const where = `annotation ${INGRESS_PREFIX}conditions.${name}`;
  if (!Array.isArray(value)) throw new Problem("invalid", `${where}: it is no list`);
  return value.map((each: unknown): RuleCondition => {
    const note = objectIn(each, where);
    const config = (member: string): Readonly<Record<string, unknown>> => objectIn(note[member], where);
    const texts = (list: unknown): readonly string[] => listIn(list, where).map((text) => textIn(text, where) ?? "");
    switch (note["field"]) {
      case "host-header":
        return { field: "host-header", values: texts(config("hostHeaderConfig")["values"]) };
      case "path-pattern":
        return { field: "path-pattern", values: texts(config("pathPatternConfig")["values"]) };
      case "http-request-method": {
        const { values, Values } = config("httpRequestMethodConfig");
        return { field: "http-request-method", values: texts(values ?? Values) };
      }
      case "source-ip":
        return { field: "source-ip", values: texts(config("sourceIpConfig")["values"]) };
      case "http-header": {
        const { httpHeaderName, values } = config("httpHeaderConfig");
        return { field: "http-header", name: textIn(httpHeaderName, where) ?? "", values: texts(values) };
      }
      case "query-string":
        return { field: "query-string", pairs: listIn(config("queryStringConfig")["values"], where).map((pair) => pairIn(pair, where)) };
      default:
        throw new Problem("invalid", `${where}: ${String(note["field"])} is no field of a condition`);
    }
  });
}

function pairIn(value: unknown, where: string): { readonly key?: string; readonly value: string } {
  const { key, value: wanted } = objectIn(value, where);
  const text = textIn(key, where);
  return { ...(text !== undefined && { key: text }), value: textIn(wanted, where) ?? "" };
}

export interface TargetSettings {
  readonly healthCheck: HealthCheckModel;
  readonly attributes: Readonly<Record<string, string>>;
}

/** How targets of a service behind an Ingress are checked and treated: the service's own annotations go before the Ingress'. Pure. */
export function readTargets(ingress: V1Ingress, service: V1Service): TargetSettings {
  const notes = new Annotations({ ...ingress.metadata?.annotations, ...service.metadata?.annotations }, INGRESS_PREFIX);
  if (notes.text("target-type") === "instance")
    throw new Problem("unsupported", `Ingress ${nameOf(ingress)}: target-type instance cannot reach pods on Fargate; use ip`);
  notes.choice("target-type", ["ip"]);
  notes.choice("backend-protocol", ["HTTP"]);
  notes.choice("backend-protocol-version", ["HTTP1"]);
  return {
    healthCheck: {
      protocol: notes.choice("healthcheck-protocol", ["HTTP", "HTTPS"]) ?? "HTTP",
      port: notes.text("healthcheck-port") ?? "traffic-port",
      path: notes.text("healthcheck-path") ?? "/",
      intervalSeconds: notes.number("healthcheck-interval-seconds") ?? 15,
      timeoutSeconds: notes.number("healthcheck-timeout-seconds") ?? 5,
      healthyThreshold: notes.number("healthy-threshold-count") ?? 2,
      unhealthyThreshold: notes.number("unhealthy-threshold-count") ?? 2,
      matcher: notes.text("success-codes") ?? "200",
    },
    attributes: notes.pairs("target-group-attributes"),
  };
}
