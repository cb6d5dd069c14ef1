import type { DatabaseSync } from "node:sqlite";
import { type ReshapeRecord, reshapeRecords } from "./reshape-records.ts";

/**
 * One step of the schema: SQL, or a new shape for the records of one collection. A step is a constant: it knows the shapes of its time by
 * itself and calls nothing that may change later.
 */
export type Migration =
  | { readonly what: string; readonly sql: string }
  | { readonly what: string; readonly collection: string; readonly reshape: ReshapeRecord };

/**
 * The database's shape, as the steps that lead to it: step n takes version n to n + 1. Steps are only ever added. A database of a newer
 * Tidegate is refused, never guessed at. A member that may be absent needs no step: readers take a record without it. One that is renamed,
 * split, or must be there, does.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    what: "records by collection and key",
    sql: `CREATE TABLE record (
      collection TEXT NOT NULL,
      key TEXT NOT NULL,
      revision INTEGER NOT NULL,
      value TEXT NOT NULL,
      UNIQUE (collection, key)
    ) STRICT;
    CREATE TABLE store_revision (current INTEGER NOT NULL) STRICT;
    INSERT INTO store_revision VALUES (0);`,
  },
  {
    what: "which Tidegate wrote: a row for each version that opened the database, the last one last",
    sql: "CREATE TABLE writer (version TEXT NOT NULL, schema INTEGER NOT NULL, since_ms INTEGER NOT NULL) STRICT;",
  },
];

export function applyMigration(database: DatabaseSync, migration: Migration): void {
  if ("sql" in migration) database.exec(migration.sql);
  else reshapeRecords(database, migration);
}
