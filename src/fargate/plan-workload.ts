import type { StopReason } from "../contracts/engine.ts";
import type { ContainerSpec, Workload } from "../contracts/workload.ts";
import { absentContainer, type ObservedContainer, type ObservedWorkload } from "./observed.ts";
import { planStart } from "./plan-start.ts";
import { planStop } from "./plan-stop.ts";

/** One effect on one container. */
export type Step =
  /** Make attempt `attempt` where it is not there yet, and start it. `streak` and `tries` are remembered for the back-offs after its exit, and after a try that fails. */
  | { readonly type: "run"; readonly container: string; readonly attempt: number; readonly streak: number; readonly tries: number }
  /** Stop signal, grace, SIGKILL. */
  | { readonly type: "stop"; readonly container: string; readonly attempt: number; readonly graceSeconds: number };

export interface WorkloadPlan {
  readonly steps: readonly Step[];
  /** The workload must end, for this reason; it is then planned again with the stop requested. */
  readonly stop?: StopReason;
  /** Every container that is to run has been started: the workload may be RUNNING. */
  readonly allStarted: boolean;
  /** The stop was requested and nothing lives any more. */
  readonly ended: boolean;
  /** Plan again at this time even if nothing happens. */
  readonly wakeAtMs?: number;
}

/** A container's spec beside what is observed of it. */
export interface Pair {
  readonly spec: ContainerSpec;
  readonly observed: ObservedContainer;
}

/**
 * Decides what to do next for each container. Pure: the same arguments give the same plan; executing the plan and planning again
 * converges. Promises: no container starts before its conditions are met; never two live attempts of one container; once the stop is
 * requested nothing starts and all that lives is stopped, in reverse order of dependence.
 */
export function planWorkload(workload: Workload, observed: ObservedWorkload, nowMs: number): WorkloadPlan {
  const pairs = workload.containers.map((spec) => ({
    spec,
    observed: observed.containers.find((container) => container.name === spec.name) ?? absentContainer(spec.name),
  }));
  return observed.stopRequested ? planStop(pairs) : planStart(workload, pairs, { nowMs, acceptedAtMs: observed.acceptedAtMs });
}
