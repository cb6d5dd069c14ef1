import type { V1EndpointSlice, V1Pod } from "@kubernetes/client-node";
import type { Target } from "../contracts/load-balancer.ts";
import type { Source } from "./model.ts";
import { hasGate } from "./readiness.ts";

export interface EndpointTarget extends Target {
  readonly pod: V1Pod | undefined;
  /** Whether it is to be registered. */
  readonly wanted: boolean;
}

export interface TargetParts {
  /** Of the target group. */
  readonly name: string;
  readonly source: Source;
  readonly slices: readonly V1EndpointSlice[];
  readonly pod: (uid: string) => V1Pod | undefined;
}

/**
 * All endpoints of a service's port, and which of them are targets: those that are ready, and those that wait for nothing but the gate of this
 * group. One that is being deleted is none from that moment on. Pure.
 */
export function planTargets({ name, source, slices, pod: podOf }: TargetParts): readonly EndpointTarget[] {
  const found = new Map<string, EndpointTarget>();
  for (const { addressType, endpoints, ports } of slices) {
    // What has none comes as null.
    const port = (ports ?? []).find((each) => (each.name ?? "") === source.portName)?.port;
    if (addressType !== "IPv4" || port === undefined) continue;
    for (const { addresses, conditions, targetRef } of endpoints ?? []) {
      const [ip] = addresses;
      if (ip === undefined) continue;
      const pod = targetRef?.kind === "Pod" ? podOf(targetRef.uid ?? "") : undefined;
      const goes = conditions?.terminating === true || pod?.metadata?.deletionTimestamp !== undefined;
      const waits = pod !== undefined && hasGate(pod, name) && isReady(pod, "ContainersReady");
      const target = { ip, port, pod, wanted: !goes && (conditions?.ready !== false || waits) };
      const key = `${ip}:${port}`;
      // An address may stand in two slices while it moves between them, or under two pods while one follows the other.
      if (found.get(key)?.wanted !== true) found.set(key, target);
    }
  }
  return [...found.values()];
}

function isReady({ status }: V1Pod, condition: string): boolean {
  return status?.conditions?.some(({ type, status: said }) => type === condition && said === "True") ?? false;
}
