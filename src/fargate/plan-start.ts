import type { StopReason } from "../contracts/engine.ts";
import type { StartCondition, Workload } from "../contracts/workload.ts";
import type { Pair, Step, WorkloadPlan } from "./plan-workload.ts";
import { stopStep } from "./plan-stop.ts";
import { restartDecision } from "./restart-rule.ts";
import { ALL_CONTAINERS_EXITED, DEADLINE_EXCEEDED, dependencyFailed, dependencyTimedOut, ESSENTIAL_EXITED, failedToStart } from "./reasons.ts";

interface Times {
  readonly nowMs: number;
  readonly acceptedAtMs: number;
}

/** The plan of a workload that is to run. */
export function planStart(workload: Workload, pairs: readonly Pair[], times: Times): WorkloadPlan {
  const wakes: number[] = [];
  const stop = endOf(pairs) ?? deadlineOf(workload, times, wakes) ?? dependencyEnd(pairs, times.nowMs, wakes);
  if (stop !== undefined) return { steps: [], stop, allStarted: false, ended: false };
  const steps = pairs.flatMap((pair) => stepOf(pair, pairs, times.nowMs, wakes));
  return { steps, allStarted: allStarted(pairs), ended: false, ...(wakes.length > 0 && { wakeAtMs: Math.min(...wakes) }) };
}

/** Ended for good: it exited and no restart follows. */
function hasEnded({ spec, observed }: Pair): boolean {
  return observed.state === "exited" && !observed.busy && !restartDecision(spec, observed).restart;
}

/** The end that the containers' own exits bring about. */
function endOf(pairs: readonly Pair[]): StopReason | undefined {
  const ended = pairs.filter(hasEnded);
  const essential = ended.filter((pair) => pair.spec.essential);
  const unstarted = essential.find((pair) => pair.observed.startFailure !== undefined);
  if (unstarted?.observed.startFailure !== undefined) return failedToStart(unstarted.observed.startFailure);
  if (essential.length > 0) return ESSENTIAL_EXITED;
  const init = ended.find((pair) => pair.spec.kind === "init" && pair.observed.exitCode !== 0);
  if (init !== undefined) {
    const words = init.observed.startFailure ?? `it ended with exit code ${init.observed.exitCode ?? "unknown"}`;
    return failedToStart(`Init container ${init.spec.name} failed: ${words}`);
  }
  const mains = pairs.filter((pair) => pair.spec.kind === "main");
  return mains.length > 0 && mains.every(hasEnded) ? ALL_CONTAINERS_EXITED : undefined;
}

function deadlineOf(workload: Workload, times: Times, wakes: number[]): StopReason | undefined {
  if (workload.activeDeadlineSeconds === undefined) return undefined;
  const atMs = times.acceptedAtMs + workload.activeDeadlineSeconds * 1000;
  if (times.nowMs >= atMs) return DEADLINE_EXCEEDED;
  wakes.push(atMs);
  return undefined;
}

/** The end that comes of a condition which cannot be met any more, or was not in time. */
function dependencyEnd(pairs: readonly Pair[], nowMs: number, wakes: number[]): StopReason | undefined {
  for (const target of pairs.filter((pair) => pair.observed.state === "absent" && !pair.observed.busy)) {
    for (const condition of target.spec.dependsOn) {
      const dependency = pairs.find((pair) => pair.spec.name === condition.container);
      if (dependency === undefined || isMet(condition, dependency)) continue;
      const names = { dependency: dependency.spec.name, target: target.spec.name };
      if (isImpossible(condition, dependency)) return dependencyFailed(names);
      const atMs = timeoutOf(dependency);
      if (atMs === undefined) continue;
      if (nowMs >= atMs) return dependencyTimedOut(names);
      wakes.push(atMs);
    }
  }
  return undefined;
}

function timeoutOf({ spec, observed }: Pair): number | undefined {
  if (spec.startTimeoutSeconds === undefined || observed.startedAtMs === undefined) return undefined;
  return observed.startedAtMs + spec.startTimeoutSeconds * 1000;
}

function isMet(condition: StartCondition, dependency: Pair): boolean {
  return MET[condition.condition](dependency);
}

const MET: Readonly<Record<StartCondition["condition"], (dependency: Pair) => boolean>> = {
  started: ({ observed }) => observed.everStarted,
  completed: (dependency) => dependency.observed.everStarted && hasEnded(dependency),
  succeeded: (dependency) => dependency.observed.everStarted && hasEnded(dependency) && dependency.observed.exitCode === 0,
  healthy: ({ observed }) => observed.state === "running" && observed.health === "HEALTHY",
};

/** What has ended without meeting the condition never will. */
function isImpossible(condition: StartCondition, dependency: Pair): boolean {
  return hasEnded(dependency) && !isMet(condition, dependency);
}

function stepOf(pair: Pair, pairs: readonly Pair[], nowMs: number, wakes: number[]): readonly Step[] {
  const { spec, observed } = pair;
  if (observed.busy) return [];
  if (observed.state === "absent") return mayStart(pair, pairs) ? [{ type: "run", container: spec.name, attempt: 0, streak: 0, tries: 0 }] : [];
  if (observed.state === "created")
    return [{ type: "run", container: spec.name, attempt: observed.attempt, streak: observed.restartStreak, tries: 0 }];
  if (observed.state === "running") return observed.killReason === undefined ? [] : [stopStep(pair)];
  const decision = restartDecision(spec, observed);
  if (!decision.restart) return [];
  // One whose image could not be had waits for those before it as though it had not been tried.
  if (!observed.everStarted && !mayStart(pair, pairs)) return [];
  const attempt = observed.unmade === true ? observed.attempt : observed.attempt + 1;
  if (nowMs >= decision.atMs) return [{ type: "run", container: spec.name, attempt, streak: decision.streak, tries: decision.tries }];
  wakes.push(decision.atMs);
  return [];
}

/** Conditions hold for the first start only; a restart does not ask again. */
function mayStart(pair: Pair, pairs: readonly Pair[]): boolean {
  if (!predecessors(pair, pairs).every(letsOthersStart)) return false;
  return pair.spec.dependsOn.every((condition) => {
    const dependency = pairs.find((other) => other.spec.name === condition.container);
    return dependency !== undefined && isMet(condition, dependency);
  });
}

/** Those that come first by their kind: nothing holds back a debugger, earlier ones hold back init containers and sidecars, all these hold back the rest. */
function predecessors(pair: Pair, pairs: readonly Pair[]): readonly Pair[] {
  if (pair.spec.kind === "ephemeral") return [];
  return pair.spec.kind === "main" ? pairs : pairs.slice(0, pairs.indexOf(pair));
}

/** Init containers and sidecars hold back what comes after them. */
function letsOthersStart(pair: Pair): boolean {
  if (pair.spec.kind === "init") return hasEnded(pair) && pair.observed.exitCode === 0;
  return pair.spec.kind !== "sidecar" || pair.observed.started;
}

function allStarted(pairs: readonly Pair[]): boolean {
  return pairs.every((pair) => {
    if (pair.spec.kind === "ephemeral") return true;
    if (pair.spec.kind === "init") return letsOthersStart(pair);
    return (pair.observed.everStarted && !(pair.observed.busy && pair.observed.attempt <= 0)) || hasEnded(pair);
  });
}
