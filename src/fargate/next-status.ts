import type { ContainerEnd, ContainerStatus, NetworkStatus, WorkloadState, WorkloadStatus } from "../contracts/engine.ts";
import type { ContainerSpec } from "../contracts/workload.ts";
import { hasReached, healthOf, laterState } from "./lifecycle.ts";
import type { ContainerFacts } from "./observe.ts";
import { clipReason } from "./reasons.ts";
import type { PlacementRecord, WorkloadRecord } from "./records.ts";

export interface StatusFacts {
  readonly record: WorkloadRecord;
  readonly placement: PlacementRecord | undefined;
  /** How far it has come; a lower one than before is overruled. */
  readonly state: WorkloadState;
  readonly network?: NetworkStatus;
  readonly connectivityAtMs?: number;
  readonly pullStartedAtMs?: number;
  readonly pullStoppedAtMs?: number;
  readonly containers: readonly ContainerFacts[];
  /** By container name. */
  readonly imageDigests: ReadonlyMap<string, string>;
  /** By `messageKey`: the last words of attempts that have ended. */
  readonly messages: ReadonlyMap<string, string>;
  /** What happened since the last status was written. */
  readonly marks: readonly { readonly phase: string; readonly atMs: number }[];
  readonly nowMs: number;
}

const TIMELINE_LENGTH = 64;
/** Of a longer one: its beginning, which tells of the start, stays. */
const TIMELINE_BEGINNING = 16;

/**
 * The status that follows from the facts; `undefined` when it says nothing new. Marks alone are news only while it runs: before and after,
 * the next step is near, and they wait for it. Pure.
 */
export function nextStatus(before: WorkloadStatus, facts: StatusFacts): WorkloadStatus | undefined {
  const { record, nowMs } = facts;
  const state = laterState(before.state, facts.state);
  const containers = record.workload.containers.map((spec) => containerStatus(spec, facts, { before, stopped: state === "STOPPED" }));
  const stop = record.stop === undefined ? undefined : { code: record.stop.code, reason: record.stop.reason };
  const draft = {
    id: before.id,
    state,
    desired: record.desired,
    ...(stop !== undefined && { stop }),
    health: healthOf(record.workload.containers, containers),
    network: before.network ?? facts.network,
    containers,
    acceptedAtMs: before.acceptedAtMs,
    connectivityAtMs: before.connectivityAtMs ?? facts.connectivityAtMs,
    pullStartedAtMs: before.pullStartedAtMs ?? facts.pullStartedAtMs,
    pullStoppedAtMs: before.pullStoppedAtMs ?? facts.pullStoppedAtMs,
    startedAtMs: before.startedAtMs ?? (state === "RUNNING" ? nowMs : undefined),
    stoppingAtMs: before.stoppingAtMs ?? record.stop?.atMs,
    executionStoppedAtMs: before.executionStoppedAtMs ?? executionStop(facts, state),
    stoppedAtMs: before.stoppedAtMs ?? (state === "STOPPED" ? nowMs : undefined),
  };
  const { version, timeline, ...said } = before;
  const news = before.state === "RUNNING" && facts.marks.length > 0;
  if (same(said, draft) && !news) return undefined;
  const entered = state === before.state ? [] : [{ phase: state, atMs: nowMs }];
  return { ...draft, version: version + 1, timeline: boundTimeline([...timeline, ...facts.marks, ...entered]) };
}

/** What restarts again and again says so each time: the oldest of that goes, or its end would not be told any more. */
function boundTimeline(timeline: WorkloadStatus["timeline"]): WorkloadStatus["timeline"] {
  if (timeline.length <= TIMELINE_LENGTH) return timeline;
  return [...timeline.slice(0, TIMELINE_BEGINNING), ...timeline.slice(TIMELINE_BEGINNING - TIMELINE_LENGTH)];
}

/** When the essential container ended, else when the last did, else when that was found out. */
function executionStop({ record, containers, nowMs }: StatusFacts, state: WorkloadState): number | undefined {
  if (!hasReached(state, "DEPROVISIONING")) return undefined;
  const ends = containers.flatMap((container) => (container.finishedAtMs === undefined ? [] : [container]));
  const essential = record.workload.containers.filter((spec) => spec.essential).map((spec) => spec.name);
  const decisive = record.stop?.code === "EssentialContainerExited" ? ends.filter((container) => essential.includes(container.name)) : [];
  if (decisive.length > 0) return Math.min(...decisive.map((container) => container.finishedAtMs ?? nowMs));
  return ends.length === 0 ? nowMs : Math.max(...ends.map((container) => container.finishedAtMs ?? nowMs));
}

const SHOWN = { absent: "PENDING", created: "PENDING", running: "RUNNING", exited: "STOPPED" } as const;

function containerStatus(
  spec: ContainerSpec,
  facts: StatusFacts,
  known: { readonly before: WorkloadStatus; readonly stopped: boolean },
): ContainerStatus {
  const before = known.before.containers.find((container) => container.name === spec.name);
  const observed = facts.containers.find((container) => container.name === spec.name);
  const state = known.stopped ? "STOPPED" : SHOWN[observed?.state ?? "absent"];
  const startFailed = observed?.startFailure !== undefined;
  // Known before the container runs: the first thing it does may be to ask the metadata endpoint for itself.
  const identified = observed?.containerId !== undefined || facts.network !== undefined;
  return {
    name: spec.name,
    state,
    runtimeId: before?.runtimeId ?? (identified ? facts.placement?.runtimeIds[spec.name] : undefined),
    imageDigest: facts.imageDigests.get(spec.name) ?? before?.imageDigest,
    ...(state === "STOPPED" && !startFailed && observed?.exitCode !== undefined && { exitCode: observed.exitCode }),
    ...(observed?.reason !== undefined && { reason: clipReason(observed.reason) }),
    ...(observed?.failure !== undefined && { startFailure: observed.failure }),
    ...(observed?.complaint !== undefined && state === "RUNNING" && { complaint: observed.complaint }),
    ...(state === "STOPPED" && {
      terminationMessage: facts.messages.get(messageKey(spec.name, observed?.attempt ?? 0)) ?? before?.terminationMessage,
    }),
    lastEnd: lastEndOf(spec.name, { before, observed, messages: facts.messages }),
    health: observed?.health ?? "UNKNOWN",
    ready: state === "RUNNING" && observed?.ready === true,
    started: state === "RUNNING" && observed?.started === true,
    restartCount: Math.max((observed?.attempt ?? 0) - (observed?.unmade === true ? 1 : 0), before?.restartCount ?? 0, 0),
    createdAtMs: observed?.createdAtMs ?? before?.createdAtMs,
    startedAtMs: observed?.startedAtMs ?? before?.startedAtMs,
    ...(state === "STOPPED" && observed?.finishedAtMs !== undefined && { finishedAtMs: observed.finishedAtMs }),
  };
}

/** Of one attempt of a container. */
export function messageKey(container: string, attempt: number): string {
  return `${container}/${attempt}`;
}

/** What was written of it once stays, when the runtime has it no more. */
function lastEndOf(
  name: string,
  known: { readonly before: ContainerStatus | undefined; readonly observed: ContainerFacts | undefined; readonly messages: StatusFacts["messages"] },
): ContainerEnd | undefined {
  const { before, observed, messages } = known;
  const stored = before?.lastEnd;
  const seen = observed?.lastEnd;
  if (seen === undefined || seen.attempt === stored?.attempt) return stored;
  return {
    ...seen,
    reason: seen.reason === undefined ? undefined : clipReason(seen.reason),
    terminationMessage: messages.get(messageKey(name, seen.attempt)),
  };
}

/** The same JSON, whatever the order of members; a member that is `undefined` is not there. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) if (!same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false;
  return true;
}
