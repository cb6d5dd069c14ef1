import type { TargetHealth } from "../contracts/load-balancer.ts";
import type { ServerCondition } from "./config/server-state.ts";
import type { ServerStats } from "./haproxy/stats.ts";

export type HealthJudgement = Pick<TargetHealth, "state" | "reason" | "description">;

export const REGISTERING: HealthJudgement = {
  state: "initial",
  reason: "Elb.RegistrationInProgress",
  description: "Target registration is in progress",
};

export const NOT_IN_USE: HealthJudgement = {
  state: "unused",
  reason: "Target.NotInUse",
  description: "Target group is not configured to receive traffic from the load balancer",
};

export const DRAINING: HealthJudgement = {
  state: "draining",
  reason: "Target.DeregistrationInProgress",
  description: "Target deregistration is in progress",
};

const CHECKING: HealthJudgement = { state: "initial", reason: "Elb.InitialHealthChecking", description: "Initial health checks in progress" };
const FAILED: HealthJudgement = { state: "unhealthy", reason: "Target.FailedHealthChecks", description: "Health checks failed" };
const TIMEOUT: HealthJudgement = { state: "unhealthy", reason: "Target.Timeout", description: "Request timed out" };

/**
 * ELBv2's words for what HAProxy says of a server.
 * @param before what was said last, for a server that is down and passes checks again: the reason stays until it is up.
 */
export function judge(stats: ServerStats, before: HealthJudgement | undefined): HealthJudgement {
  if (stats.status.startsWith("NOLB")) return stats.checkStatus === "INI" || stats.checkStatus === "UNK" ? REGISTERING : CHECKING;
  if (stats.status.startsWith("UP")) return { state: "healthy" };
  if (!stats.status.startsWith("DOWN")) return REGISTERING;
  if (stats.checkStatus === "L7STS") {
    const description = `Health checks failed with these codes: [${stats.checkCode}]`;
    return { state: "unhealthy", reason: "Target.ResponseCodeMismatch", description };
  }
  if (stats.checkStatus.endsWith("TOUT")) return TIMEOUT;
  const passes = stats.checkStatus.endsWith("OK") || stats.checkStatus === "INI";
  return passes && before?.state === "unhealthy" ? before : FAILED;
}

/** With what a server starts in a new process. */
export function conditionOf(health: HealthJudgement | undefined): ServerCondition {
  if (health?.state === "healthy") return "up";
  return health?.state === "unhealthy" ? "down" : "initial";
}
