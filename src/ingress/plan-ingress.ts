import type { V1HTTPIngressPath, V1Ingress, V1IngressBackend, V1IngressClass, V1Service } from "@kubernetes/client-node";
import { isDeepStrictEqual } from "node:util";
import type { RuleCondition } from "../contracts/load-balancing.ts";
import { Problem } from "../core/problem.ts";
import { listIn, objectIn, textIn } from "./annotations.ts";
import { readIngress, readTargets, type IngressSettings } from "./ingress-annotations.ts";
import { nameOf } from "./ingress-group.ts";
import type { ActionModel, ForwardTarget, GroupModel, ListenerModel, Model } from "./model.ts";
import { groupName, resourceName, resourceTag, stackTags, type StackName } from "./names.ts";
import type { ClusterName } from "./plan-service.ts";

const NOT_FOUND: ActionModel = { type: "fixed-response", statusCode: "404", contentType: "text/plain" };
const BY_ANNOTATION = "use-annotation";
const EVERYBODY = "0.0.0.0/0";

export interface IngressParts {
  readonly cluster: ClusterName;
  readonly stack: StackName;
  /** In the order of their rules; at least one. */
  readonly members: readonly V1Ingress[];
  /** Of the cluster. */
  readonly classes: readonly V1IngressClass[];
  service(namespace: string, name: string): V1Service | undefined;
}

type Rule = ListenerModel["rules"][number];

interface Member {
  readonly ingress: V1Ingress;
  readonly settings: IngressSettings;
}

/**
 * The application load balancer that a group of Ingresses asks for. Pure.
 * @throws Problem `invalid`, `unsupported`, `not-found`: what of them cannot be done, in words for their authors.
 */
export function planIngress(parts: IngressParts): Model {
  const { cluster, stack } = parts;
  parts.members.forEach((ingress) => refuseParameters(ingress, parts.classes));
  const members = parts.members.map((ingress): Member => ({ ingress, settings: readIngress(ingress) }));
  const tags = { ...merged("tags", members, ({ settings }) => settings.tags), ...stackTags(cluster, stack) };
  const tagged = (resource: string): Readonly<Record<string, string>> => ({ ...tags, [resourceTag(stack)]: resource });
  const groups = new Groups(parts, tagged);
  const ports = [...new Set(members.flatMap(({ settings }) => settings.ports))].sort((a, b) => a - b);
  const listeners = ports.map((port): ListenerModel => {
    const here = members.filter(({ settings }) => settings.ports.includes(port));
    return {
      port,
      protocol: "HTTP",
      action: defaultAction(here, groups),
      rules: here.flatMap((member) => rulesOf(member, groups)),
      tags: tagged(String(port)),
    };
  });
  return { balancer: balancerOf(parts, members, tagged), groups: groups.all(), listeners };
}

/** What a class says would hold for all of its Ingresses: it never does nothing. */
function refuseParameters({ spec }: V1Ingress, classes: readonly V1IngressClass[]): void {
  const parameters = classes.find(({ metadata }) => metadata?.name === spec?.ingressClassName)?.spec?.parameters;
  if (parameters === undefined) return;
  throw new Problem(
    "unsupported",
    `the IngressClass ${spec?.ingressClassName} has parameters (${parameters.kind} ${parameters.name}), which are not built: say it by annotations of the Ingress`,
  );
}

function balancerOf(
  { cluster, stack }: IngressParts,
  members: readonly Member[],
  tagged: (resource: string) => Model["balancer"]["tags"],
): Model["balancer"] {
  const one = <T>(what: string, read: (settings: IngressSettings) => T | undefined): T | undefined =>
    agreed(what, members, ({ settings }) => read(settings));
  const scheme = one("scheme", (settings) => settings.scheme) ?? "internal";
  const [namespace = "", name = ""] = stack.id.split("/");
  const parts = [cluster.name, cluster.uid, stack.id, scheme];
  const cidrs = [...new Set(members.flatMap(({ settings }) => settings.cidrs ?? []))];
  return {
    name:
      one("load-balancer-name", (settings) => settings.loadBalancerName) ??
      (name === "" ? groupName(stack.id, parts) : resourceName({ namespace, name }, parts)),
    type: "application",
    scheme,
    subnetIds: one("subnets", (settings) => settings.subnetIds),
    access: one("security-groups", (settings) => settings.access) ?? { kind: "managed", cidrs: cidrs.length === 0 ? [EVERYBODY] : cidrs },
    attributes: merged("load-balancer-attributes", members, ({ settings }) => settings.balancerAttributes),
    tags: tagged("LoadBalancer"),
  };
}

/** What those that say it say alike. */
function agreed<T>(what: string, members: readonly Member[], read: (member: Member) => T | undefined): T | undefined {
  const saying = members.filter((member) => read(member) !== undefined);
  const [first, ...others] = saying;
  if (first === undefined) return undefined;
  const value = read(first);
  const other = others.find((member) => !isDeepStrictEqual(read(member), value));
  if (other !== undefined)
    throw new Problem(
      "invalid",
      `conflicting ${what}: Ingresses ${nameOf(first.ingress)} and ${nameOf(other.ingress)} of one group say different things`,
    );
  return value;
}

function merged(
  what: string,
  members: readonly Member[],
  read: (member: Member) => Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const keys = [...new Set(members.flatMap((member) => Object.keys(read(member))))];
  return Object.fromEntries(keys.map((key) => [key, agreed(`${what} ${key}`, members, (member) => read(member)[key]) ?? ""]));
}

function defaultAction(members: readonly Member[], groups: Groups): ActionModel {
  const [first, second] = members.filter(({ ingress }) => ingress.spec?.defaultBackend !== undefined);
  if (second !== undefined)
    throw new Problem("invalid", `Ingresses ${nameOf(first?.ingress ?? {})} and ${nameOf(second.ingress)} of one group both have a defaultBackend`);
  return first?.ingress.spec?.defaultBackend === undefined ? NOT_FOUND : actionOf(first, first.ingress.spec.defaultBackend, groups);
}

function rulesOf(member: Member, groups: Groups): readonly Rule[] {
  return (member.ingress.spec?.rules ?? []).flatMap(({ host, http }) =>
    inOrder(http?.paths ?? []).map((path): Rule => {
      const conditions: readonly RuleCondition[] = [
        ...(host ? [{ field: "host-header" as const, values: [host] }] : []),
        ...pathConditions(path, member),
        ...(member.settings.conditions.get(path.backend.service?.name ?? "") ?? []),
      ];
      const all = together(conditions);
      // A rule needs a condition: this one meets everything.
      const needed = all.length === 0 ? [{ field: "path-pattern" as const, values: ["/*"] }] : all;
      return { conditions: needed, action: actionOf(member, path.backend, groups) };
    }),
  );
}

/** Exact paths first, then prefixes from the longest on, then the rest as they stand. */
function inOrder(paths: readonly V1HTTPIngressPath[]): readonly V1HTTPIngressPath[] {
  const of = (type: string): V1HTTPIngressPath[] => paths.filter(({ pathType }) => pathType === type);
  const prefixes = of("Prefix").sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0));
  return [...of("Exact"), ...prefixes, ...of("ImplementationSpecific")];
}

function pathConditions({ path = "", pathType }: V1HTTPIngressPath, { ingress }: Member): readonly RuleCondition[] {
  if (path === "") return [];
  if (pathType !== "ImplementationSpecific" && /[*?]/.test(path))
    throw new Problem("invalid", `Ingress ${nameOf(ingress)}: a path of type ${pathType} has no wildcards: ${path}`);
  if (pathType !== "Prefix") return [{ field: "path-pattern", values: [path] }];
  const bare = path.replace(/\/+$/, "");
  return [{ field: "path-pattern", values: bare === "" ? ["/*"] : [bare, `${bare}/*`] }];
}

/** Hosts and paths that an annotation adds are alternatives to the rule's own. */
function together(conditions: readonly RuleCondition[]): readonly RuleCondition[] {
  const result: RuleCondition[] = [];
  for (const condition of conditions) {
    const at = result.findIndex(({ field }) => field === condition.field && (field === "host-header" || field === "path-pattern"));
    const before = result[at];
    if (before !== undefined && "values" in before && "values" in condition)
      result[at] = { ...before, values: [...new Set([...before.values, ...condition.values])] };
    else result.push(condition);
  }
  return result;
}

function actionOf(member: Member, { service, resource }: V1IngressBackend, groups: Groups): ActionModel {
  const where = `Ingress ${nameOf(member.ingress)}`;
  if (service === undefined) throw new Problem("unsupported", `${where}: a backend of kind ${resource?.kind} is not supported; name a service`);
  if (service.port?.name !== BY_ANNOTATION)
    return { type: "forward", targets: [{ groupId: groups.of(member, service.name, service.port?.name ?? service.port?.number ?? 0), weight: 1 }] };
  const note = member.settings.actions.get(service.name);
  if (note === undefined) throw new Problem("invalid", `${where}: there is no annotation actions.${service.name}`);
  return annotatedAction(member, { note, name: service.name }, groups);
}

const OF_REDIRECT = ["protocol", "port", "host", "path", "query"] as const;

function annotatedAction(member: Member, { note: given, name }: { readonly note: unknown; readonly name: string }, groups: Groups): ActionModel {
  const where = `Ingress ${nameOf(member.ingress)}, annotation actions.${name}`;
  const note = objectIn(given, where);
  const text = (value: unknown): string | undefined => textIn(value, where);
  switch (note["type"]) {
    case "fixed-response": {
      const config = objectIn(note["fixedResponseConfig"], where);
      const [statusCode = "", contentType, messageBody] = ["statusCode", "contentType", "messageBody"].map((key) => text(config[key]));
      return {
        type: "fixed-response",
        statusCode,
        ...(contentType !== undefined && { contentType }),
        ...(messageBody !== undefined && { messageBody }),
      };
    }
    case "redirect": {
      const config = objectIn(note["redirectConfig"], where);
      const rest = OF_REDIRECT.map((key) => [key, text(config[key])] as const).filter(([, value]) => value !== undefined);
      return { type: "redirect", statusCode: text(config["statusCode"]) ?? "", ...Object.fromEntries(rest) };
    }
    case "forward": {
      const config = objectIn(note["forwardConfig"], where);
      if (objectIn(config["targetGroupStickinessConfig"], where)["enabled"] === true)
        throw new Problem("unsupported", `${where}: stickiness of target groups is not built yet`);
      const listed = config["targetGroups"] === undefined ? [{ targetGroupARN: note["targetGroupARN"] }] : listIn(config["targetGroups"], where);
      return { type: "forward", targets: listed.map((each) => forwardTarget(member, { target: objectIn(each, where), where }, groups)) };
    }
    default:
      throw new Problem("unsupported", `${where}: actions of type ${String(note["type"])} are not built yet`);
  }
}

function forwardTarget(
  member: Member,
  { target, where }: { readonly target: Readonly<Record<string, unknown>>; readonly where: string },
  groups: Groups,
): ForwardTarget {
  const { weight = 1, servicePort } = target;
  const [arn, serviceName] = [target["targetGroupARN"], target["serviceName"]].map((value) => textIn(value, where));
  if (typeof weight !== "number") throw new Problem("invalid", `${where}: the weight ${JSON.stringify(weight)} is no number`);
  if (arn !== undefined) return { arn, weight };
  if (serviceName === undefined || (typeof servicePort !== "string" && typeof servicePort !== "number"))
    throw new Problem("invalid", `${where}: name a service and its port, or a targetGroupARN`);
  return { groupId: groups.of(member, serviceName, servicePort), weight };
}

/** One target group for each Ingress, service and port, made when it is first asked for. */
class Groups {
  readonly #parts: IngressParts;
  readonly #tagged: (resource: string) => GroupModel["tags"];
  readonly #made = new Map<string, GroupModel>();

  constructor(parts: IngressParts, tagged: (resource: string) => GroupModel["tags"]) {
    this.#parts = parts;
    this.#tagged = tagged;
  }

  all(): readonly GroupModel[] {
    return [...this.#made.values()];
  }

  of({ ingress }: Member, serviceName: string, wanted: string | number): string {
    const namespace = ingress.metadata?.namespace ?? "";
    const service = this.#parts.service(namespace, serviceName);
    if (service === undefined) throw new Problem("not-found", `Ingress ${nameOf(ingress)}: there is no service ${namespace}/${serviceName}`);
    const port = (service.spec?.ports ?? []).find((each) => each.name === wanted || String(each.port) === String(wanted));
    if (port === undefined)
      throw new Problem("not-found", `Ingress ${nameOf(ingress)}: the service ${namespace}/${serviceName} has no port ${wanted}`);
    const id = `${nameOf(ingress)}-${serviceName}:${port.name ?? port.port}`;
    if (this.#made.has(id)) return id;
    const { cluster, stack } = this.#parts;
    const { healthCheck, attributes } = readTargets(ingress, service);
    const target = port.targetPort ?? port.port;
    const parts = [
      cluster.name,
      cluster.uid,
      stack.id,
      ingress.metadata?.uid ?? "",
      service.metadata?.uid ?? "",
      String(port.port),
      String(target),
      "ip",
      "HTTP",
    ];
    this.#made.set(id, {
      id,
      name: resourceName({ namespace, name: serviceName }, parts),
      protocol: "HTTP",
      port: typeof target === "number" ? target : 1,
      healthCheck,
      attributes,
      tags: this.#tagged(id),
      source: { namespace, service: serviceName, portName: port.name ?? "", selector: service.spec?.selector ?? {} },
    });
    return id;
  }
}
