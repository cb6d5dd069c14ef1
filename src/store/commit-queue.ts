import type { Change, Write } from "../contracts/store.ts";
import { Problem } from "../core/problem.ts";
import { prepareWrites, type PreparedWrite } from "./apply-writes.ts";

/** What became of one batch: its revision and changes, or why it was refused. */
export type Outcome = { readonly revision: number; readonly changes: readonly Change[] } | { readonly error: unknown };

export interface CommitQueueOptions {
  /** Runs `flush` soon, never at once; what is submitted until then is committed with it. */
  schedule(flush: () => void): void;
  /** Applies the batches in order, each all or none, and makes them durable together. A throw fails them all. */
  commit(batches: readonly (readonly PreparedWrite[])[]): readonly Outcome[];
  publish(change: Change): void;
}

interface Pending {
  readonly writes: readonly PreparedWrite[];
  readonly resolve: (revision: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Gathers the batches that are submitted close together into one commit, so that a storm of writes costs few syncs to disk. Changes are
 * published after the commit and before the submitters resume.
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  #pending: Pending[] = [];
  #scheduled = false;
  #closed = false;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
  }

  submit(writes: readonly Write[]): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Problem("unavailable", "the store is closed");
      this.#pending.push({ writes: prepareWrites(writes), resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      this.#options.schedule(() => this.flush());
    });
  }

  /** Commits what is pending, now. */
  flush(): void {
    this.#scheduled = false;
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    let outcomes: readonly Outcome[];
    try {
      outcomes = this.#options.commit(pending.map((each) => each.writes));
    } catch (error) {
      for (const each of pending) each.reject(error);
      return;
    }
    for (const outcome of outcomes) if ("changes" in outcome) for (const change of outcome.changes) this.#options.publish(change);
    for (const [index, each] of pending.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined || "error" in outcome) each.reject(outcome?.error);
      else each.resolve(outcome.revision);
    }
  }

  /** Commits what is pending and refuses what comes after. */
  close(): void {
    this.#closed = true;
    while (this.#pending.length > 0) this.flush();
  }
}
