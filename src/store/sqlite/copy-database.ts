import { chmod, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf, Problem } from "../../core/problem.ts";
import { syncFolder } from "../../host/files.ts";

const BUSY_TIMEOUT_MS = 5_000;

/** What is known of a database without the records' meaning. */
export interface DatabaseFacts {
  readonly schemaVersion: number;
  /** The Tidegate that opened it last; `undefined` for one of before this was kept. */
  readonly tidegateVersion: string | undefined;
  readonly records: number;
}

/**
 * Copies a database, which may be in use by another process, into a new file as it was at one moment; whole, durable and checked when it
 * resolves, for its owner alone. `to` must not be there; after a failure it is not.
 * @throws Problem `unavailable`.
 */
export async function copyDatabase(from: string, to: string): Promise<DatabaseFacts> {
  try {
    using(from, (database) => database.prepare("VACUUM INTO ?").run(to));
    await chmod(to, 0o600);
    const file = await open(to, "r+");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    const checked = checkDatabase(to);
    await syncFolder(dirname(to));
    return checked;
  } catch (cause) {
    await rm(to, { force: true });
    throw new Problem("unavailable", `the database ${from} could not be copied to ${to}: ${messageOf(cause)}`, { cause });
  }
}

/** Reads a database file from end to end. @throws Problem `invalid` when it is damaged or no database of Tidegate's. */
export function checkDatabase(path: string): DatabaseFacts {
  try {
    return using(path, (database) => {
      const verdict = (database.prepare("PRAGMA integrity_check").all() as unknown as readonly { readonly integrity_check: string }[]).map(
        (row) => row.integrity_check,
      );
      if (verdict[0] !== "ok") throw new Error(verdict.slice(0, 3).join("; "));
      return readFacts(database);
    });
  } catch (cause) {
    throw new Problem("invalid", `${path} is no sound database of Tidegate: ${messageOf(cause)}`, { cause });
  }
}

/** Every record, as it is stored. For copies, which nobody changes meanwhile. */
export function* readRecords(path: string): Generator<{ readonly collection: string; readonly key: string; readonly value: unknown }> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    for (const row of database.prepare("SELECT collection, key, value FROM record ORDER BY collection, key").iterate()) {
      const { collection, key, value } = row as { readonly collection: string; readonly key: string; readonly value: string };
      yield { collection, key, value: JSON.parse(value) as unknown };
    }
  } finally {
    database.close();
  }
}

function using<T>(path: string, work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function readFacts(database: DatabaseSync): DatabaseFacts {
  const { version } = database.prepare("SELECT version FROM schema_version").get() as { readonly version: number };
  const { records } = database.prepare("SELECT count(*) AS records FROM record").get() as { readonly records: number };
  return { schemaVersion: version, tidegateVersion: lastWriter(database), records };
}

/** The Tidegate that opened the database last; `undefined` when that was before it was kept. */
export function lastWriter(database: DatabaseSync): string | undefined {
  const kept = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'writer'").get();
  if (kept === undefined) return undefined;
  const row = database.prepare("SELECT version FROM writer ORDER BY rowid DESC LIMIT 1").get() as { readonly version: string } | undefined;
  return row?.version;
}
