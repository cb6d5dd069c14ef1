import { WORKLOAD_STATES, type ContainerStatus, type Health, type WorkloadState } from "../contracts/engine.ts";
import type { ContainerSpec } from "../contracts/workload.ts";

/** Whether a workload in `state` has come as far as `other`, or further. */
export function hasReached(state: WorkloadState, other: WorkloadState): boolean {
  return WORKLOAD_STATES.indexOf(state) >= WORKLOAD_STATES.indexOf(other);
}

/** States only move forward: the later of two. */
export function laterState(a: WorkloadState, b: WorkloadState): WorkloadState {
  return hasReached(a, b) ? a : b;
}

/** @see ECS: an unhealthy essential container makes the task UNHEALTHY, an unknown one UNKNOWN. */
export function healthOf(specs: readonly ContainerSpec[], containers: readonly ContainerStatus[]): Health {
  const healths = containers
    .filter((container) => specs.find((spec) => spec.name === container.name)?.essential)
    .map((container) => container.health);
  if (healths.includes("UNHEALTHY")) return "UNHEALTHY";
  return healths.length === 0 || healths.includes("UNKNOWN") ? "UNKNOWN" : "HEALTHY";
}
