import type { Collection, Change } from "./store.ts";

/** What a reconcile asks for: nothing, or to be called again after a delay even if no event comes. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number;
}

/** A collection whose changes wake a controller, and which of its keys a change concerns. */
export interface Watch<T = unknown> {
  readonly collection: Collection<T>;
  /** The controller's keys that the change concerns; often just `[change.key]`. Must not throw. */
  keysOf(change: Change<T>): readonly string[];
}

/**
 * A level-triggered loop over keys. `reconcile` re-reads the truth, moves one step, and may be called at any time, twice, and after a
 * restart; never twice at once for the same key. A throw means: try again later, with back-off.
 */
export interface Controller {
  /** e.g. `ecs-service`; in logs and metrics. */
  readonly name: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- variance: each watch has its own record type
  readonly watches: readonly Watch<any>[];
  /** Wake-ups that do not come from the store (an engine's events, target health): called once when the runner starts; dispose the answer to stop. */
  sources?(wake: (key: string) => void): Disposable;
  /** All keys that exist, queued once at start. */
  initialKeys(): Promise<readonly string[]>;
  reconcile(key: string): Promise<ReconcileResult | void>;
  /** How many keys may be worked on at once; default 8. */
  readonly concurrency?: number;
}
