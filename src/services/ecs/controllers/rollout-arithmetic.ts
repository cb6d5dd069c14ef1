import type { DeploymentRecord } from "../records.ts";

export interface Bounds {
  /** Healthy tasks that must remain. */
  readonly lower: number;
  /** Tasks in RUNNING and PENDING, all deployments together. */
  readonly upper: number;
}

/** @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html */
export function boundsOf(service: {
  readonly desiredCount: number;
  readonly minimumHealthyPercent: number;
  readonly maximumPercent: number;
}): Bounds {
  return {
    lower: Math.ceil((service.desiredCount * service.minimumHealthyPercent) / 100),
    upper: Math.floor((service.desiredCount * service.maximumPercent) / 100),
  };
}

/** Failures that trip the deployment circuit breaker. */
export function breakerThreshold(desiredCount: number): number {
  return Math.min(200, Math.max(3, Math.ceil(desiredCount / 2)));
}

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 15 * 60_000;
/** A task that dies sooner than this after RUNNING counts as a failed start for the back-off. */
export const QUICK_DEATH_MS = 10_000;
const LONGEST_QUICK_DEATH_DELAY_MS = 60_000;
const LONGEST_CAPACITY_DELAY_MS = 60_000;
const FORGET_MS = 2 * LONGEST_DELAY_MS;

export type FailureKind = "start" | "quick-death" | "capacity";

/**
 * The back-off after a failure: 1 s doubling, up to 15 min for tasks that never reach RUNNING. Tasks that were created before the back-off
 * began belong to the failure that began it.
 * Differs: AWS restarts a task that died after RUNNING at once, its placement takes tens of seconds anyhow. Here one that dies within 10 s
 * backs off too, up to a minute.
 */
export function backOff(
  deployment: DeploymentRecord,
  failure: { readonly kind: FailureKind; readonly createdAtMs: number; readonly nowMs: number },
): DeploymentRecord {
  const before = deployment.throttle;
  if (before !== undefined && failure.createdAtMs < before.notBeforeMs && failure.kind !== "capacity") return deployment;
  const fresh = before === undefined || failure.nowMs - before.notBeforeMs > FORGET_MS;
  const attempts = fresh ? 1 : before.attempts + 1;
  const delayMs = Math.min(LONGEST[failure.kind], FIRST_DELAY_MS * 2 ** Math.min(attempts - 1, 20));
  return { ...deployment, throttle: { attempts, notBeforeMs: failure.nowMs + delayMs } };
}

const LONGEST: Readonly<Record<FailureKind, number>> = {
  start: LONGEST_DELAY_MS,
  "quick-death": LONGEST_QUICK_DEATH_DELAY_MS,
  capacity: LONGEST_CAPACITY_DELAY_MS,
};
