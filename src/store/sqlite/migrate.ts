import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { copyDatabase, lastWriter } from "./copy-database.ts";
import { applyMigration, MIGRATIONS, type Migration } from "./schema.ts";

export interface MigrateOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of this Tidegate. */
  readonly version: string;
  /** For tests; default those there are. */
  readonly migrations?: readonly Migration[];
}

/** Beside the database: copies of it from before its migrations. */
export const COPIES_FOLDER = "before-upgrade";
const KEPT_COPIES = 3;

/**
 * Brings the database to the newest schema, in one transaction: a step that fails leaves it as it was. One that holds something is copied
 * first, to `before-upgrade/<name>.v<schema>.<time>`; the last three copies are kept.
 * @throws Problem `unsupported` when a newer Tidegate wrote it; `unavailable` when it could not be copied, or a step failed.
 */
export async function migrate(database: DatabaseSync, options: MigrateOptions): Promise<void> {
  const { path, logger, migrations = MIGRATIONS } = options;
  database.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT;");
  const version = schemaVersion(database);
  if (version > migrations.length) throw tooNew(database, { path, version, known: migrations.length });
  if (version > 0 && version < migrations.length) {
    const copy = await keepCopy(options, version);
    logger.info("the database is being brought to a newer schema", { path, from: version, to: migrations.length, copy });
  }
  database.exec("BEGIN IMMEDIATE");
  try {
    apply(database, version, migrations);
    recordWriter(database, options, migrations.length);
    database.exec("COMMIT");
  } catch (cause) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw new Problem(
      "unavailable",
      `the database ${path} could not be brought from schema ${version} to ${migrations.length}: ${messageOf(cause)}. ` +
        "It is as it was: the Tidegate that wrote it can be started again.",
      { cause },
    );
  }
}

function schemaVersion(database: DatabaseSync): number {
  return (database.prepare("SELECT version FROM schema_version").get() as { readonly version: number } | undefined)?.version ?? 0;
}

function apply(database: DatabaseSync, from: number, migrations: readonly Migration[]): void {
  // Another process may have been first, between the look and the lock.
  if (schemaVersion(database) !== from) throw new Error("another process is changing it");
  for (const [index, migration] of migrations.entries()) {
    if (index < from) continue;
    try {
      applyMigration(database, migration);
    } catch (cause) {
      throw new Error(`step ${index + 1} (${migration.what}): ${messageOf(cause)}`, { cause });
    }
  }
  if (from === 0) database.prepare("INSERT INTO schema_version VALUES (?)").run(migrations.length);
  else if (from !== migrations.length) database.prepare("UPDATE schema_version SET version = ?").run(migrations.length);
}

function recordWriter(database: DatabaseSync, { version, clock }: MigrateOptions, schema: number): void {
  if (lastWriter(database) === version) return;
  database.prepare("INSERT INTO writer VALUES (?, ?, ?)").run(version, schema, clock.nowMs());
}

function tooNew(database: DatabaseSync, facts: { readonly path: string; readonly version: number; readonly known: number }): Problem {
  const writer = lastWriter(database);
  return new Problem(
    "unsupported",
    `the database ${facts.path} has schema version ${facts.version}; this Tidegate knows versions up to ${facts.known}. ` +
      `A newer Tidegate ${writer === undefined ? "" : `(${writer}) `}wrote it: start that one again, or put back the copy from before its upgrade, ` +
      `which is in ${join(dirname(facts.path), COPIES_FOLDER)} (see docs/operations.md, "Restart, upgrade, downgrade").`,
  );
}

async function keepCopy({ path, clock }: MigrateOptions, version: number): Promise<string> {
  const folder = join(dirname(path), COPIES_FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const time = new Date(clock.nowMs()).toISOString().replaceAll(":", "-");
  const copy = join(folder, `${basename(path)}.v${version}.${time}`);
  const draft = `${copy}.tmp`;
  await rm(draft, { force: true });
  await copyDatabase(path, draft);
  await rename(draft, copy);
  await dropOldCopies(folder);
  return copy;
}

/** Keeps the newest ones. Drafts are what a killed process left. */
async function dropOldCopies(folder: string): Promise<void> {
  const names = await readdir(folder);
  const dated = names.flatMap((name) => {
    const time = /\.v\d+\.(\d{4}-.*Z)$/.exec(name)?.[1];
    return time === undefined ? [] : [{ name, time }];
  });
  const old = dated.toSorted((a, b) => (a.time < b.time ? 1 : -1)).slice(KEPT_COPIES);
  const doomed = [...old.map(({ name }) => name), ...names.filter((name) => name.endsWith(".tmp"))];
  for (const name of doomed) await rm(join(folder, name), { force: true });
}
