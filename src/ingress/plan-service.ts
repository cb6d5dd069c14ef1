import type { V1Service, V1ServicePort } from "@kubernetes/client-node";
import { Problem } from "../core/problem.ts";
import { Annotations, idsOf } from "./annotations.ts";
import type { GroupModel, HealthCheckModel, ListenerModel, Model } from "./model.ts";
import { resourceName, resourceTag, stackTags, type StackName } from "./names.ts";

const PREFIX = "service.beta.kubernetes.io/aws-load-balancer-";
const LOAD_BALANCER_CLASS = "service.k8s.aws/nlb";
export const SERVICE_FINALIZER = "service.k8s.aws/resources";
const EVERYBODY = "0.0.0.0/0";
/** Of the AWS Load Balancer Controller. */
const CHECK = { intervalSeconds: 10, timeoutSeconds: 10, healthyThreshold: 3, unhealthyThreshold: 3 };

export interface ClusterName {
  readonly name: string;
  readonly uid: string;
}

/** Whether a Service is to have a load balancer of ours. Pure. */
export function wantsBalancer({ spec, metadata }: V1Service): boolean {
  if (metadata?.deletionTimestamp !== undefined || spec?.type !== "LoadBalancer") return false;
  return spec.loadBalancerClass === undefined || spec.loadBalancerClass === LOAD_BALANCER_CLASS;
}

export function serviceStack({ metadata }: Pick<V1Service, "metadata">): StackName {
  return { kind: "service", id: `${metadata?.namespace}/${metadata?.name}` };
}

/**
 * The network load balancer that a Service of type LoadBalancer asks for. Pure.
 * @throws Problem `invalid`, `unsupported`: what of the Service cannot be done, in words for its author.
 */
export function planService(cluster: ClusterName, service: V1Service): Model {
  const { namespace = "", name = "", uid = "" } = service.metadata ?? {};
  const { spec } = service;
  const stack = serviceStack(service);
  const notes = new Annotations(service.metadata?.annotations, PREFIX);
  notes.choice("type", ["external", "nlb", "nlb-ip"]);
  if (notes.text("nlb-target-type") === "instance")
    throw new Problem("unsupported", `annotation ${PREFIX}nlb-target-type: instance targets cannot reach pods on Fargate; use ip`);
  notes.choice("nlb-target-type", ["ip"]);
  notes.choice("backend-protocol", ["tcp"]);
  notes.choice("ip-address-type", ["ipv4"]);
  const scheme = notes.choice("scheme", ["internal", "internet-facing"]) ?? (notes.flag("internal") === false ? "internet-facing" : "internal");
  const tags = { ...notes.pairs("additional-resource-tags"), ...stackTags(cluster, stack) };
  const tagged = (resource: string): Readonly<Record<string, string>> => ({ ...tags, [resourceTag(stack)]: resource });
  const attributes = groupAttributes(notes);
  const check = healthCheck(notes);
  const ports = spec?.ports ?? [];
  if (ports.length === 0) throw new Problem("invalid", "the Service has no ports");
  const groups = ports.map((port): GroupModel => {
    refuseOtherThanTcp(port);
    const id = `${namespace}/${name}:${port.port}`;
    const parts = [cluster.name, cluster.uid, uid, String(port.port), String(port.targetPort ?? port.port), "ip", "TCP"];
    return {
      id,
      name: resourceName({ namespace, name }, parts),
      protocol: "TCP",
      port: typeof port.targetPort === "number" ? port.targetPort : port.port,
      healthCheck: check,
      attributes,
      tags: tagged(id),
      source: { namespace, service: name, portName: port.name ?? "", selector: spec?.selector ?? {} },
    };
  });
  const model: Model = {
    balancer: {
      name: notes.text("name") ?? resourceName({ namespace, name }, [cluster.name, cluster.uid, uid, scheme]),
      type: "network",
      scheme,
      subnetIds: idsOf(notes, "subnets", "subnet"),
      access: accessOf(notes, spec?.loadBalancerSourceRanges),
      attributes: balancerAttributes(notes),
      tags: tagged("LoadBalancer"),
    },
    groups,
    listeners: ports.map(({ port }, index): ListenerModel => {
      const action = { type: "forward", targets: [{ groupId: groups[index]?.id ?? "", weight: 1 }] } as const;
      return { port, protocol: "TCP", action, rules: [], tags: tagged(String(port)) };
    }),
  };
  notes.refuseRest();
  return model;
}

function refuseOtherThanTcp({ protocol = "TCP", port }: V1ServicePort): void {
  if (protocol !== "TCP") throw new Problem("unsupported", `port ${port} is of protocol ${protocol}: network load balancers carry TCP alone here`);
}

function accessOf(notes: Annotations, ranges: readonly string[] | undefined): Model["balancer"]["access"] {
  const groupIds = idsOf(notes, "security-groups", "sg");
  const reachesPods = notes.flag("manage-backend-security-group-rules") ?? false;
  const annotated = notes.list("source-ranges");
  return groupIds === undefined ? { kind: "managed", cidrs: ranges ?? annotated ?? [EVERYBODY] } : { kind: "given", groupIds, reachesPods };
}

function balancerAttributes(notes: Annotations): Readonly<Record<string, string>> {
  const zones = notes.text("cross-zone-load-balancing-enabled");
  return { ...(zones !== undefined && { "load_balancing.cross_zone.enabled": zones }), ...notes.pairs("attributes") };
}

function groupAttributes(notes: Annotations): Readonly<Record<string, string>> {
  const header = notes.choice("proxy-protocol", ["*"]);
  return { ...(header !== undefined && { "proxy_protocol_v2.enabled": "true" }), ...notes.pairs("target-group-attributes") };
}

function healthCheck(notes: Annotations): HealthCheckModel {
  const protocol = notes.choice("healthcheck-protocol", ["TCP", "tcp", "HTTP", "http", "HTTPS", "https"])?.toUpperCase() ?? "TCP";
  const isTcp = protocol === "TCP";
  return {
    protocol: protocol as HealthCheckModel["protocol"],
    port: notes.text("healthcheck-port") ?? "traffic-port",
    path: notes.text("healthcheck-path") ?? "/",
    intervalSeconds: notes.number("healthcheck-interval") ?? CHECK.intervalSeconds,
    timeoutSeconds: notes.number("healthcheck-timeout") ?? (isTcp ? CHECK.timeoutSeconds : 6),
    healthyThreshold: notes.number("healthcheck-healthy-threshold") ?? CHECK.healthyThreshold,
    unhealthyThreshold: notes.number("healthcheck-unhealthy-threshold") ?? CHECK.unhealthyThreshold,
    matcher: notes.text("healthcheck-success-codes") ?? "200-399",
  };
}
