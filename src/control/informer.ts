import type { Change, Collection, Store, Stored } from "../contracts/store.ts";

export interface InformerOptions<T> {
  readonly store: Store;
  readonly collection: Collection<T>;
  /** By name: the values under which a record is found with `byIndex`. Must be pure. */
  readonly indexes?: Readonly<Record<string, (record: Stored<T>) => readonly string[]>>;
}

/** A collection in memory, kept current by the store's changes: each read is synchronous and sees every commit that has been announced. */
export interface Informer<T> extends Disposable {
  get(key: string): Stored<T> | undefined;
  /** All records, in no promised order. */
  list(): readonly Stored<T>[];
  /** The records that the index files under `value`, in no promised order. @throws RangeError for an index that was not asked for. */
  byIndex(name: string, value: string): readonly Stored<T>[];
  /** Calls `listener` after each change has been applied. Dispose the answer to stop. */
  changes(listener: (change: Change<T>) => void): Disposable;
}

/** Lists and watches without a gap between: what changes while the list is read is applied after it. */
export async function createInformer<T>(options: InformerOptions<T>): Promise<Informer<T>> {
  const cache = new Cache<T>(options.indexes ?? {});
  const early: Change<T>[] = [];
  let hear = (change: Change<T>): void => void early.push(change);
  const watch = options.store.watch(options.collection, (change) => hear(change));
  try {
    for (const record of await options.store.list(options.collection)) cache.set(record);
  } catch (error) {
    watch[Symbol.dispose]();
    throw error;
  }
  for (const change of early) cache.apply(change);
  hear = (change) => cache.announce(change);
  return {
    get: (key) => cache.records.get(key),
    list: () => [...cache.records.values()],
    byIndex: (name, value) => cache.byIndex(name, value),
    changes: (listener) => cache.listen(listener),
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
}

class Cache<T> {
  readonly records = new Map<string, Stored<T>>();
  readonly #indexes: readonly {
    readonly name: string;
    readonly valuesOf: (record: Stored<T>) => readonly string[];
    readonly keys: Map<string, Set<string>>;
  }[];
  readonly #listeners = new Set<{ readonly call: (change: Change<T>) => void }>();

  constructor(indexes: NonNullable<InformerOptions<T>["indexes"]>) {
    this.#indexes = Object.entries(indexes).map(([name, valuesOf]) => ({ name, valuesOf, keys: new Map() }));
  }

  set(record: Stored<T>): void {
    this.remove(record.key);
    this.records.set(record.key, record);
    for (const { valuesOf, keys } of this.#indexes) {
      for (const value of valuesOf(record)) keys.set(value, (keys.get(value) ?? new Set()).add(record.key));
    }
  }

  remove(key: string): void {
    const record = this.records.get(key);
    if (record === undefined) return;
    this.records.delete(key);
    for (const { valuesOf, keys } of this.#indexes) {
      for (const value of valuesOf(record)) {
        const filed = keys.get(value);
        filed?.delete(key);
        if (filed?.size === 0) keys.delete(value);
      }
    }
  }

  /** A change that the list already showed is applied again without harm: what follows it comes too. */
  apply({ key, value, revision }: Change<T>): void {
    if (value === undefined) this.remove(key);
    else this.set({ key, value, revision });
  }

  announce(change: Change<T>): void {
    this.apply(change);
    const errors: unknown[] = [];
    for (const { call } of Array.from(this.#listeners)) {
      try {
        call(change);
      } catch (error) {
        errors.push(error);
      }
    }
    // The store logs what a watch listener throws.
    if (errors.length > 0) throw errors[0];
  }

  byIndex(name: string, value: string): readonly Stored<T>[] {
    const index = this.#indexes.find((each) => each.name === name);
    if (index === undefined) throw new RangeError(`this informer has no index ${name}`);
    return [...(index.keys.get(value) ?? [])].flatMap((key) => this.records.get(key) ?? []);
  }

  listen(call: (change: Change<T>) => void): Disposable {
    const entry = { call };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }
}
