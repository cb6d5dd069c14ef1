import { chmod, open } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Change, Collection, ListOptions, Store, Stored, Write } from "../../contracts/store.ts";
import { systemClock } from "../../core/clock.ts";
import { isDiskFull } from "../../core/disk-full.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { DISK_ADVICE } from "../../host/disk-guard.ts";
import { makeFolder, syncFolder } from "../../host/files.ts";
import { applyWrites, type PreparedWrite, type RowTable } from "../apply-writes.ts";
import { ChangeFeed } from "../change-feed.ts";
import { CommitQueue, type Outcome } from "../commit-queue.ts";
import { endOfPrefix } from "../keys.ts";
import { parseFrozen } from "../values.ts";
import { RowCache } from "./row-cache.ts";
import { migrate, type MigrateOptions } from "./migrate.ts";

const BUSY_TIMEOUT_MS = 5_000;
const CACHE_CHARACTERS = 16 * 1024 * 1024;

export interface SqliteStoreOptions extends Pick<MigrateOptions, "path" | "logger">, Partial<Omit<MigrateOptions, "path" | "logger">> {
  /** Told how long each commit took, its sync to disk included. */
  readonly observeCommit?: (seconds: number) => void;
}

/**
 * Opens (or makes) the database file at `path`, for its owner alone: secrets are in it. One of an older Tidegate is brought to the newest
 * schema first. Every acknowledged write survives a power cut.
 * @throws Problem `unsupported` when a newer Tidegate wrote the file; `unavailable` when it cannot be opened or migrated.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  await makeFolder(dirname(options.path));
  let database: DatabaseSync;
  try {
    await keepPrivate(options.path);
    database = new DatabaseSync(options.path, { timeout: BUSY_TIMEOUT_MS });
  } catch (cause) {
    throw unavailable(`cannot open the database ${options.path}`, options.path, cause);
  }
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    await migrate(database, { clock: systemClock, version: "unknown", ...options });
    await settle(options.path);
    return new SqliteStore(database, options);
  } catch (cause) {
    database.close();
    if (cause instanceof Problem) throw cause;
    throw unavailable(`cannot use the database ${options.path}`, options.path, cause);
  }
}

/** A full disk is said in words that help; whoever gets them may repeat the write when there is room. */
function unavailable(doing: string, path: string, cause: unknown): Problem {
  const words = isDiskFull(cause) ? `the disk that holds ${path} is full; nothing of it was written. ${DISK_ADVICE}` : messageOf(cause);
  return new Problem("unavailable", `${doing}: ${words}`, { cause });
}

/** SQLite gives the files beside a database (`-wal`, `-shm`) its mode; those of an earlier run may have another. */
async function keepPrivate(path: string): Promise<void> {
  await (await open(path, "a", 0o600)).close();
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    await chmod(file, 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}

/**
 * Makes durable what is found. SQLite does so with what it makes and writes itself; a process that was killed may have left files whose
 * names, and a commit whose content, no sync has reached, and from here on they are read and built upon.
 */
async function settle(path: string): Promise<void> {
  const log = await open(`${path}-wal`, "r");
  try {
    await log.sync();
  } finally {
    await log.close();
  }
  await syncFolder(dirname(path));
}

interface SqlRow {
  readonly key: string;
  readonly revision: number;
  readonly value: string;
}

interface Statements {
  readonly get: StatementSync;
  readonly list: StatementSync;
  readonly listBelow: StatementSync;
  readonly upsert: StatementSync;
  readonly remove: StatementSync;
  readonly setRevision: StatementSync;
}

function prepareStatements(database: DatabaseSync): Statements {
  const list = "SELECT key, revision, value FROM record WHERE collection = ? AND key >= ? AND key > ?";
  return {
    get: database.prepare("SELECT key, revision, value FROM record WHERE collection = ? AND key = ?"),
    list: database.prepare(`${list} ORDER BY key LIMIT ?`),
    listBelow: database.prepare(`${list} AND key < ? ORDER BY key LIMIT ?`),
    upsert: database.prepare(
      "INSERT INTO record (collection, key, revision, value) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (collection, key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
    ),
    remove: database.prepare("DELETE FROM record WHERE collection = ? AND key = ?"),
    setRevision: database.prepare("UPDATE store_revision SET current = ?"),
  };
}

class SqliteStore implements Store {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #feed: ChangeFeed;
  readonly #queue: CommitQueue;
  readonly #cache = new RowCache(CACHE_CHARACTERS);
  /** Of the last commit. */
  #revision: number;
  #closed = false;

  constructor(database: DatabaseSync, { path, logger, observeCommit }: SqliteStoreOptions) {
    this.#path = path;
    this.#database = database;
    this.#statements = prepareStatements(database);
    const row = database.prepare("SELECT current FROM store_revision").get() as { readonly current: number };
    this.#revision = row.current;
    this.#feed = new ChangeFeed(logger);
    this.#queue = new CommitQueue({
      // All that one turn of the event loop brings in shares a sync to disk.
      schedule: (flush) => void setImmediate(flush),
      commit: (batches) => {
        const beganMs = performance.now();
        try {
          return this.#commit(batches);
        } finally {
          observeCommit?.((performance.now() - beganMs) / 1000);
        }
      },
      publish: (change) => this.#feed.publish(change),
    });
  }

  async get<T>(collection: Collection<T>, key: string): Promise<Stored<T> | undefined> {
    this.#mustBeOpen();
    const row = this.#statements.get.get(collection.name, key) as SqlRow | undefined;
    return row === undefined ? undefined : (this.#stored(collection.name, row) as Stored<T>);
  }

  async list<T>(collection: Collection<T>, options: ListOptions = {}): Promise<readonly Stored<T>[]> {
    this.#mustBeOpen();
    const { prefix = "", after = "", limit } = options;
    const count = limit === undefined ? -1 : Math.max(0, limit);
    const end = endOfPrefix(prefix);
    const rows =
      end === undefined
        ? this.#statements.list.all(collection.name, prefix, after, count)
        : this.#statements.listBelow.all(collection.name, prefix, after, end, count);
    return rows.map((row) => this.#stored(collection.name, row as unknown as SqlRow) as Stored<T>);
  }

  transact(writes: readonly Write[]): Promise<number> {
    return this.#queue.submit(writes);
  }

  watch<T>(collection: Collection<T>, listener: (change: Change<T>) => void): Disposable {
    return this.#feed.watch(collection.name, listener as (change: Change) => void);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#queue.close();
    this.#closed = true;
    this.#feed.clear();
    this.#database.close();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Problem("unavailable", "the store is closed");
  }

  #stored(collection: string, row: SqlRow): Stored<unknown> {
    const cached = this.#cache.get(collection, row.key, row.revision);
    if (cached !== undefined) return cached;
    const stored = Object.freeze({ key: row.key, value: parseFrozen(row.value), revision: row.revision });
    // Within a commit a row may still be undone, and its revision used again.
    if (row.revision <= this.#revision) this.#cache.set(collection, stored, row.value.length);
    return stored;
  }

  #commit(batches: readonly (readonly PreparedWrite[])[]): readonly Outcome[] {
    const table = this.#table();
    let revision = this.#revision;
    const applyOne = (writes: readonly PreparedWrite[]): Outcome => {
      if (writes.length === 0) return { revision, changes: [] };
      this.#database.exec("SAVEPOINT batch");
      try {
        const changes = applyWrites(table, writes, revision + 1);
        this.#database.exec("RELEASE batch");
        return { revision: ++revision, changes };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        this.#database.exec("ROLLBACK TO batch; RELEASE batch");
        return { error };
      }
    };
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      const outcomes = batches.map(applyOne);
      if (revision !== this.#revision) this.#statements.setRevision.run(revision);
      this.#database.exec("COMMIT");
      this.#revision = revision;
      return outcomes;
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw unavailable("the write could not be made durable", this.#path, cause);
    }
  }

  #table(): RowTable {
    const { get, upsert, remove } = this.#statements;
    return {
      read: (collection, key) => {
        const row = get.get(collection, key) as SqlRow | undefined;
        return row === undefined ? undefined : this.#stored(collection, row);
      },
      write: ({ collection, key, text }, revision) => void upsert.run(collection, key, revision, text),
      remove: (collection, key) => void remove.run(collection, key),
    };
  }
}
