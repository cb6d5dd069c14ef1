import type { Change, Collection, ListOptions, Store, Stored, Write } from "../../contracts/store.ts";
import { silentLogger, type Logger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { applyWrites, type PreparedWrite, type Row, type RowTable } from "../apply-writes.ts";
import { ChangeFeed } from "../change-feed.ts";
import { CommitQueue, type Outcome } from "../commit-queue.ts";
import { SortedRows } from "./sorted-rows.ts";

/** A store that forgets everything with the process: for tests and for `--engine simulated`. Behaves as the SQLite one otherwise. */
export function createMemoryStore(options: { readonly logger?: Logger } = {}): Store {
  return new MemoryStore(options.logger ?? silentLogger);
}

class MemoryStore implements Store {
  readonly #tables = new Map<string, SortedRows>();
  readonly #feed: ChangeFeed;
  readonly #queue: CommitQueue;
  #revision = 0;
  #closed = false;

  constructor(logger: Logger) {
    this.#feed = new ChangeFeed(logger);
    this.#queue = new CommitQueue({
      schedule: queueMicrotask,
      commit: (batches) => batches.map((batch) => this.#apply(batch)),
      publish: (change) => this.#feed.publish(change),
    });
  }

  async get<T>(collection: Collection<T>, key: string): Promise<Stored<T> | undefined> {
    return this.#table(collection.name).get(key) as Stored<T> | undefined;
  }

  async list<T>(collection: Collection<T>, options: ListOptions = {}): Promise<readonly Stored<T>[]> {
    return this.#table(collection.name).list(options) as readonly Stored<T>[];
  }

  transact(writes: readonly Write[]): Promise<number> {
    return this.#queue.submit(writes);
  }

  watch<T>(collection: Collection<T>, listener: (change: Change<T>) => void): Disposable {
    return this.#feed.watch(collection.name, listener as (change: Change) => void);
  }

  async close(): Promise<void> {
    this.#queue.close();
    this.#closed = true;
    this.#feed.clear();
  }

  #table(name: string): SortedRows {
    if (this.#closed) throw new Problem("unavailable", "the store is closed");
    const table = this.#tables.get(name) ?? new SortedRows();
    this.#tables.set(name, table);
    return table;
  }

  #apply(writes: readonly PreparedWrite[]): Outcome {
    if (writes.length === 0) return { revision: this.#revision, changes: [] };
    const undo: (() => void)[] = [];
    try {
      const changes = applyWrites(this.#undoable(undo), writes, this.#revision + 1);
      this.#revision++;
      return { revision: this.#revision, changes };
    } catch (error) {
      for (const step of undo.reverse()) step();
      return { error };
    }
  }

  #undoable(undo: (() => void)[]): RowTable {
    const remember = (collection: string, key: string): SortedRows => {
      const table = this.#table(collection);
      const before: (Row & { readonly key: string }) | undefined = table.get(key);
      undo.push(() => (before === undefined ? table.delete(key) : table.set(before)));
      return table;
    };
    return {
      read: (collection, key) => this.#table(collection).get(key),
      write: ({ collection, key, value }, revision) => remember(collection, key).set(Object.freeze({ key, value, revision })),
      remove: (collection, key) => remember(collection, key).delete(key),
    };
  }
}
