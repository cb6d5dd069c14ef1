import type { CoreV1Event, V1Ingress, V1Service } from "@kubernetes/client-node";
import { isIngress } from "./cluster-objects.ts";

export interface StackEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: "SuccessfullyReconciled" | "FailedBuildModel" | "FailedDeployModel" | "FailedCleanup";
  readonly message: string;
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
