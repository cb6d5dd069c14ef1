import type { StopReason, WorkloadStatus } from "../contracts/engine.ts";

/** What is there of a pod that has its place, at this moment. */
export interface ObservedPod {
  /** The object in Kubernetes; `undefined`: it is gone, or its cluster is. */
  readonly pod?: {
    readonly isDeleting: boolean;
    readonly isBound: boolean;
    readonly isTerminal: boolean;
    readonly restartPolicy: "Always" | "OnFailure" | "Never";
  };
  readonly hasAddress: boolean;
  /** It was found that its node is gone with all that ran there. */
  readonly isLost: boolean;
  /** The host was restarted, or is another one, since the workload was started. */
  readonly isHostGone: boolean;
  /** The one that the placement names; `undefined`: the compute layer does not have it. */
  readonly workload?: Pick<WorkloadStatus, "state" | "desired" | "stop" | "containers">;
  /** The next attempt may start then. */
  readonly notBeforeMs?: number;
  readonly nowMs: number;
}

/** One step, after which all is looked at again. `report`: the status is written, and nothing else is to be done. */
export type PodAction =
  | { readonly do: "allocate" | "bind" | "start" | "report" | "stop" | "finish" | "remove" }
  /** Its node is gone, as a machine of Fargate's that fails: the pod fails and is deleted, for its controller to replace it. */
  | { readonly do: "lose" }
  /** Another attempt takes the place of a workload that was lost, or could not be given what it needs. */
  | { readonly do: "retry" }
  | { readonly do: "wait"; readonly forMs?: number };

/** The next step towards a pod that runs, or towards nothing. Pure. */
export function planPod({ pod, hasAddress, isLost, isHostGone, workload, notBeforeMs, nowMs }: ObservedPod): PodAction {
  if (pod === undefined) return endOf(workload) ?? { do: "remove" };
  if (pod.isDeleting) return endOf(workload) ?? (pod.isBound ? { do: "finish" } : { do: "wait" });
  if (isLost) return { do: "lose" };
  // Its phase was known before its sandbox was gone, which is told too.
  if (pod.isTerminal) return endOf(workload) ?? { do: workload !== undefined && isOwnEnd(workload) ? "report" : "wait" };
  if (!hasAddress) return { do: "allocate" };
  if (!pod.isBound) return { do: "bind" };
  if (workload === undefined) {
    const leftMs = (notBeforeMs ?? nowMs) - nowMs;
    return leftMs > 0 ? { do: "wait", forMs: leftMs } : { do: "start" };
  }
  if (workload.state !== "STOPPED") return { do: "report" };
  if (!isOwnEnd(workload) && hasRun(workload) && isHostGone) return { do: "lose" };
  if (!isOwnEnd(workload) && (pod.restartPolicy !== "Never" || !hasRun(workload))) return { do: "retry" };
  return { do: "report" };
}

/** Nothing left to do when nothing runs. */
function endOf(workload: ObservedPod["workload"]): PodAction | undefined {
  if (workload === undefined || workload.state === "STOPPED") return undefined;
  return workload.desired === "STOPPED" ? { do: "report" } : { do: "stop" };
}

/** Whether the pod ends with this workload, as it was deleted or came to its end; one that something befell is followed by another. */
export function isPodsEnd(workload: NonNullable<ObservedPod["workload"]>): boolean {
  return workload.desired === "STOPPED" && (workload.stop?.code === "UserInitiated" || isOwnEnd(workload));
}

/** Whether its containers, or the pod's own limits, brought the end about; else something befell it. */
function isOwnEnd({ containers, stop }: NonNullable<ObservedPod["workload"]>): boolean {
  if (stop?.code === "EssentialContainerExited" || stop?.code === "DeadlineExceeded" || isEviction(stop)) return true;
  // An init container that failed, or could not be started.
  return (
    stop?.code === "TaskFailedToStart" && containers.some(({ exitCode, startFailure }) => exitCode !== undefined || startFailure?.step === "start")
  );
}

/** It had more on disk than it may. */
export function isEviction(stop: StopReason | undefined): boolean {
  return stop?.code === "Evicted" || /^(EphemeralStorageExceeded|HostDiskFull)Error/.test(stop?.reason ?? "");
}

function hasRun({ containers }: NonNullable<ObservedPod["workload"]>): boolean {
  return containers.some(({ startedAtMs }) => startedAtMs !== undefined);
}

const FIRST_BACKOFF_MS = 10_000;
const LONGEST_BACKOFF_MS = 300_000;

/** Before the attempt after so many failures in a row: 10 s, doubling up to 300 s; none after a loss. Pure. */
export function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10));
}
