import type { ContainerSpec } from "../contracts/workload.ts";
import type { ObservedContainer } from "./observed.ts";

/** What follows an exit: nothing, or another attempt, not before `atMs`. */
export type RestartDecision =
  | { readonly restart: false }
  | {
      readonly restart: true;
      readonly atMs: number;
      readonly streak: number;
      /** Tries that failed before there was a container. */ readonly tries: number;
    };

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
  if (backoff === undefined) return { restart: true, atMs: finishedAtMs, streak: 0, tries: 0 };
  if (observed.unmade === true) {
    const { failedTries: tries = 0, restartStreak: streak } = observed;
    const waitSeconds = Math.min(backoff.maximumSeconds, backoff.initialSeconds * 2 ** Math.min(tries, 30));
    return { restart: true, atMs: finishedAtMs + waitSeconds * 1000, streak, tries: tries + 1 };
  }
  const streak = ranMs > backoff.resetAfterSeconds * 1000 ? 0 : observed.restartStreak;
  const delaySeconds = streak === 0 ? 0 : Math.min(backoff.maximumSeconds, backoff.initialSeconds * 2 ** Math.min(streak - 1, 30));
  return { restart: true, atMs: finishedAtMs + delaySeconds * 1000, streak: streak + 1, tries: 0 };
}

function mayRestart(spec: ContainerSpec, observed: ObservedContainer): boolean {
  if (spec.kind === "ephemeral") return false;
  // What never ran is tried again only under a back-off, then whatever the rule is; ECS's is for containers that ran.
  if (observed.startFailure !== undefined && spec.restart.backoff === undefined) return false;
  if (observed.unmade === true) return true;
  if (spec.restart.exitCodeRules?.some((rule) => matchesExitCode(rule, observed.exitCode))) return true;
  if (spec.restart.policy === "never") return false;
  if (observed.startFailure !== undefined) return true;
  if (observed.exitCode !== undefined && spec.restart.ignoredExitCodes?.includes(observed.exitCode)) return false;
  // An init container that succeeded is done, whatever the rule says.
  const onlyFailures = spec.restart.policy === "on-failure" || spec.kind === "init";
  return !onlyFailures || observed.exitCode !== 0;
}

type ExitCodeRule = NonNullable<ContainerSpec["restart"]["exitCodeRules"]>[number];

function matchesExitCode({ operator, values }: ExitCodeRule, exitCode: number | undefined): boolean {
  return exitCode !== undefined && values.includes(exitCode) === (operator === "In");
}
