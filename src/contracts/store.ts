/**
 * The one store of truth. Records are JSON values under a collection and a key, each with a revision that grows with every write to the
 * store. Writes are all-or-nothing batches guarded by revisions; whoever wants to know of changes watches.
 */

/** A typed name for one kind of record, e.g. `collection<TaskRecord>("ecs.task")`. The value must survive JSON. */
export interface Collection<T> {
  readonly name: string;
  /** Never set; carries the type. */
  readonly _type?: T;
}

/** Names a collection. The room that owns the records exports it. */
export function collection<T>(name: string): Collection<T> {
  return { name };
}

export interface Stored<T> {
  readonly key: string;
  readonly value: T;
  /** The store-wide revision of the last write to this record; positive. */
  readonly revision: number;
}

/**
 * One write of a batch. `create` fails when the key exists. `update` and `delete` fail when the record is gone or its revision is not
 * `ifRevision` (left out: any revision). `put` creates or replaces, unguarded: for records with a single writer.
 */
export type Write<T = unknown> =
  | { readonly op: "create"; readonly collection: Collection<T>; readonly key: string; readonly value: T }
  | { readonly op: "put"; readonly collection: Collection<T>; readonly key: string; readonly value: T }
  | { readonly op: "update"; readonly collection: Collection<T>; readonly key: string; readonly value: T; readonly ifRevision?: number }
  | { readonly op: "delete"; readonly collection: Collection<T>; readonly key: string; readonly ifRevision?: number };

export interface ListOptions {
  /** Only keys that start with this. */
  readonly prefix?: string;
  /** Only keys after this one, for paging. */
  readonly after?: string;
  readonly limit?: number;
}

export interface Change<T = unknown> {
  readonly collection: string;
  readonly key: string;
  /** The new value; `undefined` for a deletion. */
  readonly value: T | undefined;
  /** The value before; `undefined` for a creation. */
  readonly previous: T | undefined;
  readonly revision: number;
}

export interface Store {
  get<T>(collection: Collection<T>, key: string): Promise<Stored<T> | undefined>;
  /** In key order (by UTF-8 bytes). */
  list<T>(collection: Collection<T>, options?: ListOptions): Promise<readonly Stored<T>[]>;
  /**
   * Applies all writes or none; durable when it resolves. Answers the batch's revision, which every record it wrote now has.
   * @throws Problem `already-exists` (create), `conflict` (revision moved) or `not-found` (update or delete of nothing), naming collection and key.
   */
  transact(writes: readonly Write[]): Promise<number>;
  /**
   * Calls `listener` once for each change committed after this call, in order of revision, after the commit, never inside `transact`.
   * Dispose the answer to stop.
   */
  watch<T>(collection: Collection<T>, listener: (change: Change<T>) => void): Disposable;
  close(): Promise<void>;
}
