import type { Change } from "../contracts/store.ts";
import type { Logger } from "../core/logger.ts";

type Listener = (change: Change) => void;

/** Hands committed changes to those who watch. A listener that throws is logged and does not keep the others from hearing. */
export class ChangeFeed {
  readonly #listeners = new Map<string, Set<{ readonly call: Listener }>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  watch(collection: string, call: Listener): Disposable {
    const entry = { call };
    const entries = this.#listeners.get(collection) ?? new Set();
    this.#listeners.set(collection, entries.add(entry));
    return { [Symbol.dispose]: () => void entries.delete(entry) };
  }

  /** Call it once per change, in order of revision. Whoever begins to watch, or ceases to, while it runs: the change counts as committed before. */
  publish(change: Change): void {
    const entries = this.#listeners.get(change.collection);
    if (entries === undefined) return;
    for (const entry of Array.from(entries)) {
      if (!entries.has(entry)) continue;
      try {
        entry.call(change);
      } catch (error) {
        this.#logger.error("a watch listener threw", { room: "store", collection: change.collection, key: change.key, err: error });
      }
    }
  }

  clear(): void {
    for (const entries of this.#listeners.values()) entries.clear();
  }
}
