import type { Health, StopReason } from "../../../contracts/engine.ts";
import type { TargetHealth } from "../../../contracts/load-balancer.ts";
import type { ServiceRecord } from "../records.ts";

/** A task of a service, as the planner sees it. */
export interface PlannedTask {
  readonly id: string;
  readonly deploymentId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly capacityProviderName?: string;
  readonly createdAtMs: number;
  /** `pending` and `running` are wanted; `stopping` is asked to end or ends by itself. */
  readonly phase: "pending" | "running" | "stopping" | "stopped";
  readonly startedAtMs?: number;
  readonly stoppedAtMs?: number;
  readonly stop?: StopReason;
  readonly hasHealthCheck: boolean;
  readonly health: Health;
  readonly targets: readonly PlannedTarget[];
  readonly settled: boolean;
  readonly announced: boolean;
  readonly protectedUntilMs?: number;
}

export interface PlannedTarget {
  readonly targetGroupArn: string;
  readonly port: number;
  readonly state: TargetHealth["state"] | "unregistered";
  readonly reason?: string;
}

export interface ServiceObservation {
  readonly service: ServiceRecord;
  readonly tasks: readonly PlannedTask[];
  readonly nowMs: number;
  /** A stored time to come, as it compares with `nowMs` when the wall clock was set meanwhile; left out, it is as stored. */
  readonly presentOf?: (atMs: number) => number;
}

/**
 * How long a task without load balancer and health check must run to count as healthy, in ms.
 * Differs: AWS waits 40 s, which its own placement makes look short; here a container starts within a second.
 */
export const SETTLE_MS = 5_000;

/** Whether the task counts towards minimumHealthyPercent. */
export function isHealthy(task: PlannedTask, nowMs: number): boolean {
  if (task.phase !== "running" || task.startedAtMs === undefined) return false;
  if (task.hasHealthCheck && task.health !== "HEALTHY") return false;
  if (task.targets.length > 0) return task.targets.every((target) => target.state === "healthy");
  return task.hasHealthCheck || nowMs >= task.startedAtMs + SETTLE_MS;
}

/** Why a running task must be replaced; `undefined` while it need not, or the grace period lasts. */
export function unhealthyCause(task: PlannedTask, now: { readonly nowMs: number; readonly graceMs: number }): UnhealthyCause | undefined {
  if (task.phase !== "running" || task.startedAtMs === undefined || now.nowMs < task.startedAtMs + now.graceMs) return undefined;
  const target = task.targets.find((each) => each.state === "unhealthy");
  if (target !== undefined) return { type: "target", target };
  return task.hasHealthCheck && task.health === "UNHEALTHY" ? { type: "container" } : undefined;
}

export type UnhealthyCause = { readonly type: "target"; readonly target: PlannedTarget } | { readonly type: "container" };
