import type { Health } from "../contracts/engine.ts";

/** A container as the plan sees it: its newest attempt, and what is remembered of the earlier ones. */
export interface ObservedContainer {
  readonly name: string;
  /** Number of the newest attempt; -1 before the first. */
  readonly attempt: number;
  /** Of the newest attempt. `created` has not run yet; one that could not be made or started counts as `exited`. */
  readonly state: "absent" | "created" | "running" | "exited";
  readonly exitCode?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** Some attempt has run. */
  readonly everStarted: boolean;
  /** Why the newest attempt never ran, e.g. `CannotPullContainerError: …`. Its state is then `exited`. */
  readonly startFailure?: string;
  /** It failed before there was a container: the next try is the same attempt. */
  readonly unmade?: boolean;
  /** Tries in a row that failed before there was a container. */
  readonly failedTries?: number;
  /** Restarts in a row since it last ran long enough to reset its back-off. */
  readonly restartStreak: number;
  readonly health: Health;
  /** Running, its startup probe passed and its postStart hook done. */
  readonly started: boolean;
  /** Why it must be killed and restarted by its rule, e.g. a failed liveness probe. */
  readonly killReason?: string;
  /** How long it then has; its own time where left out. */
  readonly killGraceSeconds?: number;
  /** An effect on it (making, starting, stopping) is under way: nothing new is decided about it. */
  readonly busy: boolean;
}

/** All that the plan of a workload depends on, beside its spec and the time. */
export interface ObservedWorkload {
  readonly acceptedAtMs: number;
  /** Somebody asked it to end, or it ended by itself. */
  readonly stopRequested: boolean;
  /** One for each container of the spec, in its order. */
  readonly containers: readonly ObservedContainer[];
}

/** A container of which nothing is known yet. */
export function absentContainer(name: string): ObservedContainer {
  return { name, attempt: -1, state: "absent", everStarted: false, restartStreak: 0, health: "UNKNOWN", started: false, busy: false };
}
