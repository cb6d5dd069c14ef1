import type { ContainerSpec } from "../contracts/workload.ts";
import type { ObservedContainer } from "./observed.ts";

/** What follows an exit: nothing, or another attempt, not before `atMs`. */
export type RestartDecision = { readonly restart: false } | { readonly restart: true; readonly atMs: number; readonly streak: number };

const NO_RESTART: RestartDecision = { restart: false };

/**
 * Whether and when an exited container runs again.
 * @see ECS restartPolicy (only after it ran restartAttemptPeriod), Kubernetes' CrashLoopBackOff (the first restart at once, then doubling; timed from the exit).
 */
export function restartDecision(spec: ContainerSpec, observed: ObservedContainer): RestartDecision {
  if (observed.state !== "exited" || !mayRestart(spec, observed)) return NO_RESTART;
  const finishedAtMs = observed.finishedAtMs ?? 0;
  const ranMs = observed.startedAtMs === undefined ? 0 : Math.max(0, finishedAtMs - observed.startedAtMs);
  if (spec.restart.minimumRunSeconds !== undefined && ranMs < spec.restart.minimumRunSeconds * 1000) return NO_RESTART;
  const backoff = spec.restart.backoff;
  if (backoff === undefined) return { restart: true, atMs: finishedAtMs, streak: 0 };
  const streak = ranMs > backoff.resetAfterSeconds * 1000 ? 0 : observed.restartStreak;
  const delaySeconds = streak === 0 ? 0 : Math.min(backoff.maximumSeconds, backoff.initialSeconds * 2 ** Math.min(streak - 1, 30));
  return { restart: true, atMs: finishedAtMs + delaySeconds * 1000, streak: streak + 1 };
}

function mayRestart(spec: ContainerSpec, observed: ObservedContainer): boolean {
  if (spec.kind === "ephemeral" || spec.restart.policy === "never") return false;
  // What never ran is tried again only under a back-off; ECS's rule is for containers that ran.
  if (observed.startFailure !== undefined) return spec.restart.backoff !== undefined;
  if (observed.exitCode !== undefined && spec.restart.ignoredExitCodes?.includes(observed.exitCode)) return false;
  // An init container that succeeded is done, whatever the rule says.
  const onlyFailures = spec.restart.policy === "on-failure" || spec.kind === "init";
  return !onlyFailures || observed.exitCode !== 0;
}
