import type { ContainerStatus } from "../../contracts/engine.ts";
import type { WrittenContainer } from "../pod-status.ts";
import type { Refusal } from "./routes.ts";

export interface LogQuestion {
  readonly pod: string;
  readonly previous: boolean;
  /** What the pod's status says of the container now. */
  readonly shown: Pick<WrittenContainer, "name" | "state">;
  /** Of the workload that runs the pod, or ran it. */
  readonly observed: ContainerStatus | undefined;
}

/**
 * Which attempt's log stands for a container, by the kubelet's rules: while it waits for its next start, that is the one that ended. Answers the
 * kubelet's words where there is none. Pure.
 */
export function chooseAttempt({ pod, previous, shown, observed }: LogQuestion): number | Refusal {
  const { state, name } = shown;
  const isBetween = state.waiting !== undefined && observed?.state === "STOPPED" && observed.exitCode !== undefined;
  const newest = observed?.restartCount ?? 0;
  const isThere = state.running !== undefined || (state.terminated !== undefined && observed !== undefined) || isBetween;
  // One that is being made has nothing to say yet.
  const current = isThere ? newest : newest - 1;
  const chosen = previous && isThere && !isBetween ? current - 1 : current;
  if (chosen >= 0) return chosen;
  if (previous) return { status: 400, words: `previous terminated container "${name}" in pod "${pod}" not found` };
  const { reason = "" } = state.waiting ?? {};
  if (state.terminated !== undefined) return { status: 400, words: `container "${name}" in pod "${pod}" is terminated` };
  if (reason === "ErrImagePull") return { status: 400, words: `container "${name}" in pod "${pod}" is waiting to start: image can't be pulled` };
  if (reason === "ImagePullBackOff") {
    return { status: 400, words: `container "${name}" in pod "${pod}" is waiting to start: trying and failing to pull image` };
  }
  return { status: 400, words: `container "${name}" in pod "${pod}" is waiting to start: ${reason}` };
}
