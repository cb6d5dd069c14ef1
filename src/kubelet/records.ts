import type { ContainerEnd } from "../contracts/engine.ts";
import { collection } from "../contracts/store.ts";
import type { Scope } from "../core/scope.ts";
import type { PodLogging } from "./logging/fluent-config.ts";

/**
 * Where a pod is, and all names that it will ever have outside Kubernetes. Stored before any of them is made; written by the pod
 * controller alone; removed when nothing of the pod is left. Keyed by the cluster's key and the pod's UID.
 */
export interface PodPlacement extends Scope {
  readonly clusterKey: string;
  readonly clusterUid: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly profile: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly attachmentId: string;
  readonly cpuUnits: number;
  readonly memoryMiB: number;
  /** Once it is allocated. */
  readonly address?: string;
  /** Where its lines go beside its log files, as the ConfigMap aws-logging said when it was scheduled; `logFault`: why nowhere. */
  readonly logging?: PodLogging;
  readonly logFault?: string;
  /** When it was bound to its node: what Kubernetes calls the pod's start. */
  readonly startedAtMs: number;
  /** Of the workload that runs it now, from 0; another one follows a sandbox that was lost and a pull that failed. */
  readonly attempt: number;
  /** In which boot of the host it was started. */
  readonly bootId?: string;
  /** What it ran on is gone, and the pod with it: it is deleted. */
  readonly isLost?: boolean;
  /** Not before this the attempt may start. */
  readonly notBeforeMs?: number;
  /** Attempts in a row that did not start. */
  readonly failures: number;
  /** Why the last attempt did not start, while the next one waits. */
  readonly waiting?: { readonly reason: string; readonly message?: string };
  /** Restarts of containers in attempts before this one. */
  readonly restarts: Readonly<Record<string, number>>;
  /** How containers ended in the attempt before this one. */
  readonly lastEnds?: Readonly<Record<string, ContainerEnd>>;
  /** Of each kind of event (`started/web`) the last that was sent. */
  readonly told: Readonly<Record<string, string>>;
}

export const PLACEMENTS = collection<PodPlacement>("kubelet.pod");

export function placementKey(clusterKey: string, uid: string): string {
  return `${clusterKey}|${uid}`;
}

export function parsePlacementKey(key: string): { readonly clusterKey: string; readonly uid: string } {
  const at = key.lastIndexOf("|");
  return { clusterKey: key.slice(0, at), uid: key.slice(at + 1) };
}

/** The UID's 32 hex digits, then the attempt. */
export function workloadIdOf({ uid, attempt }: Pick<PodPlacement, "uid" | "attempt">): string {
  const digits = uid.replaceAll("-", "");
  return attempt === 0 ? digits : `${digits}-${attempt}`;
}
