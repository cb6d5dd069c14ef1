/**
 * The database's shape, as the steps that lead to it: step n takes version n to n + 1. Steps are only ever added. A database of a newer
 * Tidegate is refused, never guessed at.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE record (
     collection TEXT NOT NULL,
     key TEXT NOT NULL,
     revision INTEGER NOT NULL,
     value TEXT NOT NULL,
     UNIQUE (collection, key)
   ) STRICT;
   CREATE TABLE store_revision (current INTEGER NOT NULL) STRICT;
   INSERT INTO store_revision VALUES (0);`,
];

export const SCHEMA_VERSION = MIGRATIONS.length;
