import type { CoreV1Event, V1Ingress, V1Service } from "@kubernetes/client-node";
import { isIngress } from "./cluster-objects.ts";

export interface StackEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: "SuccessfullyReconciled" | "FailedBuildModel" | "FailedDeployModel" | "FailedCleanup";
  readonly message: string;
}

/** What the authors of a load balancer's objects are told once it is there, and what of them is without effect. Pure. */
export function reconciledEvent(members: readonly (V1Service | V1Ingress)[]): StackEvent {
  const event = { type: "Normal", reason: "SuccessfullyReconciled" } as const;
  const secured = members.filter((member) => isIngress(member) && (member.spec?.tls ?? []).length > 0);
  if (secured.length === 0) return { ...event, message: "Successfully reconciled" };
  const names = secured.map(({ metadata }) => metadata?.name).join(", ");
  return {
    ...event,
    message: `Successfully reconciled; spec.tls of ${names} is without effect: HTTPS listeners are not built yet, its hosts are served by HTTP`,
  };
}

/** An event about a Service or an Ingress as Kubernetes keeps it. `suffix`: 16 hex. */
export function stackEvent(
  object: V1Service | V1Ingress,
  { type, reason, message }: StackEvent,
  { suffix, nowMs }: { readonly suffix: string; readonly nowMs: number },
): CoreV1Event {
  const { name, namespace, uid, resourceVersion } = object.metadata ?? {};
  const kind = isIngress(object) ? { apiVersion: "networking.k8s.io/v1", kind: "Ingress" } : { apiVersion: "v1", kind: "Service" };
  const component = isIngress(object) ? "ingress" : "service";
  const at = new Date(nowMs);
  return {
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: { ...kind, name, namespace, uid, resourceVersion },
    type,
    reason,
    // Kubernetes takes no more.
    message: message.slice(0, 1024),
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component },
    reportingComponent: component,
    reportingInstance: "",
  };
}
