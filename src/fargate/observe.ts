import type { RuntimeContainer } from "../contracts/container-runtime.ts";
import type { Complaint, ContainerEnd, ContainerStatus, StartFailure, WorkloadStatus } from "../contracts/engine.ts";
import type { ContainerSpec } from "../contracts/workload.ts";
import { absentContainer, type ObservedContainer } from "./observed.ts";
import type { ProbeVerdict } from "./probe-state.ts";
import { OUT_OF_MEMORY, vanished, WATCHER_LOST } from "./reasons.ts";
import type { PlacementRecord } from "./records.ts";
import type { FailedHook, FailedStart } from "./session.ts";

/** What is known of a container in all: for the plan, and for the status that is shown. */
export interface ContainerFacts extends ObservedContainer {
  /** The runtime's id of the newest attempt. */
  readonly containerId?: string;
  readonly createdAtMs?: number;
  readonly reason?: string;
  readonly failure?: StartFailure;
  readonly complaint?: Complaint;
  /** Of the attempt before this one, as long as the runtime has it; without its last words. */
  readonly lastEnd?: ContainerEnd;
  readonly ready: boolean;
}

export interface ObservationSources {
  readonly status: WorkloadStatus;
  readonly placement: PlacementRecord | undefined;
  /** All attempts in the workload's sandbox. */
  readonly containers: readonly RuntimeContainer[];
  /** Attempts that could not be pulled, made or started, as this process knows it. */
  readonly startFailures: ReadonlyMap<string, FailedStart>;
  /** Containers of which a hook failed. */
  readonly hookFailures: ReadonlyMap<string, FailedHook>;
  readonly busy: (container: string) => boolean;
  readonly verdict: (containerId: string) => ProbeVerdict | undefined;
}

/** Under which the placement remembers the tries that failed; no container has such a name. */
export function triesKey(container: string): string {
  return `${container}/tries`;
}

/** Pure: puts together what the runtime, the store and the probes say of one container. */
export function observeContainer(spec: ContainerSpec, sources: ObservationSources): ContainerFacts {
  const facts = newestOf(spec, sources);
  const earlier = sources.containers
    .filter(({ name, attempt, state }) => name === spec.name && attempt < facts.attempt && state === "exited")
    .toSorted((a, b) => b.attempt - a.attempt)[0];
  return earlier === undefined ? facts : { ...facts, lastEnd: endOf(earlier) };
}

function endOf(ended: RuntimeContainer): ContainerEnd {
  const { attempt, exitCode, startedAtMs, finishedAtMs } = ended;
  if (startedAtMs !== undefined) return { attempt, exitCode, reason: endReason(ended, undefined), startedAtMs, finishedAtMs };
  return { attempt, startFailure: { step: "start", words: startWords(ended) }, finishedAtMs };
}

function startWords({ reason }: RuntimeContainer): string {
  return reason ?? "the runtime could not start it";
}

function newestOf(spec: ContainerSpec, sources: ObservationSources): ContainerFacts {
  const before = sources.status.containers.find((container) => container.name === spec.name);
  const newest = sources.containers.filter((container) => container.name === spec.name).sort((a, b) => b.attempt - a.attempt)[0];
  const failure = sources.startFailures.get(spec.name);
  const common = {
    restartStreak: sources.placement?.streaks[spec.name] ?? 0,
    failedTries: sources.placement?.streaks[triesKey(spec.name)] ?? 0,
    busy: sources.busy(spec.name),
    everStarted: before?.startedAtMs !== undefined || newest?.startedAtMs !== undefined,
  };
  if (failure !== undefined && failure.attempt >= (newest?.attempt ?? 0)) {
    const facts = { ...absentContainer(spec.name), ...common, ready: false, attempt: failure.attempt, state: "exited" as const };
    return {
      ...facts,
      unmade: failure.step !== "start",
      startFailure: failure.text,
      failure: { step: failure.step, words: failure.words },
      reason: failure.text,
      finishedAtMs: failure.atMs,
      containerId: newest?.id,
      createdAtMs: newest?.createdAtMs,
    };
  }
  if (newest === undefined) return { ...remembered(spec, before), ...common };
  return { ...present(spec, newest, { sources, before }), ...common };
}

/** Of a container that the runtime does not have: what the store says. */
function remembered(spec: ContainerSpec, before: ContainerStatus | undefined): ContainerFacts {
  const absent: ContainerFacts = { ...absentContainer(spec.name), ready: false };
  if (before === undefined || before.state === "PENDING") return absent;
  const ran = { startedAtMs: before.startedAtMs, createdAtMs: before.createdAtMs, attempt: before.restartCount, state: "exited" as const };
  if (before.state === "RUNNING") return { ...absent, ...ran, exitCode: 137, finishedAtMs: before.startedAtMs, reason: vanished(spec.name) };
  const startFailure = before.startedAtMs === undefined ? before.reason : undefined;
  const failed = { failure: before.startFailure, unmade: before.startFailure !== undefined && before.startFailure.step !== "start" };
  return { ...absent, ...ran, ...failed, exitCode: before.exitCode, finishedAtMs: before.finishedAtMs, reason: before.reason, startFailure };
}

function present(
  spec: ContainerSpec,
  newest: RuntimeContainer,
  known: { readonly sources: ObservationSources; readonly before?: ContainerStatus },
): ContainerFacts {
  const { attempt, id: containerId, createdAtMs, startedAtMs } = newest;
  const facts: ContainerFacts = { ...absentContainer(spec.name), ready: false, attempt, containerId, createdAtMs, startedAtMs };
  const sameAttempt = known.before?.restartCount === attempt;
  switch (newest.state) {
    case "created":
      return { ...facts, state: "created" };
    case "running":
    case "unknown": {
      const verdict = known.sources.verdict(containerId);
      const hookFailure = known.sources.hookFailures.get(spec.name);
      const health = verdict?.health ?? (sameAttempt ? (known.before?.health ?? "UNKNOWN") : "UNKNOWN");
      const killReason =
        newest.state === "unknown"
          ? "the runtime lost track of it"
          : hookFailure?.attempt === attempt && hookFailure.complaint.ends
            ? hookFailure.complaint.words
            : verdict?.killReason;
      // Until its probes say otherwise, after a restart of Tidegate: what they said before.
      const before = sameAttempt && known.before?.state === "RUNNING" ? known.before : undefined;
      const hasNoStartup = spec.probes.startup === undefined;
      const ready = before?.ready ?? (hasNoStartup && spec.probes.readiness === undefined);
      const started = before?.started ?? (hasNoStartup || ready);
      return {
        ...facts,
        state: "running",
        health,
        killReason,
        killGraceSeconds: verdict?.killGraceSeconds,
        complaint: hookFailure?.attempt === attempt ? hookFailure.complaint : verdict?.complaint,
        started: verdict?.started ?? started,
        ready: verdict?.ready ?? ready,
      };
    }
    case "exited": {
      const ended = {
        ...facts,
        state: "exited" as const,
        finishedAtMs: newest.finishedAtMs,
        health: sameAttempt ? (known.before?.health ?? "UNKNOWN") : "UNKNOWN",
      };
      if (newest.startedAtMs !== undefined)
        return { ...ended, exitCode: newest.exitCode, reason: endReason(newest, sameAttempt ? known.before : undefined) };
      const words = startWords(newest);
      const startFailure = `CannotStartContainerError: ${words}`;
      return { ...ended, startFailure, failure: { step: "start", words }, reason: startFailure };
    }
    default:
      return facts;
  }
}

/** One that is stored as ended was seen before its sandbox, and what watched over it, were taken away in order. */
function endReason({ oomKilled, watcherLost }: RuntimeContainer, before: ContainerStatus | undefined): string | undefined {
  if (oomKilled) return OUT_OF_MEMORY;
  if (watcherLost !== true) return undefined;
  return before?.state === "STOPPED" ? before.reason : WATCHER_LOST;
}
