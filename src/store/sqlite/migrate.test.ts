import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { collection, type Store } from "../../contracts/store.ts";
import { FakeClock } from "../../core/clock.ts";
import { silentLogger } from "../../core/logger.ts";
import { checkDatabase } from "./copy-database.ts";
import { COPIES_FOLDER } from "./migrate.ts";
import { type Migration, MIGRATIONS } from "./schema.ts";
import { openSqliteStore } from "./sqlite-store.ts";

let folder: string;
let path: string;
const clock = new FakeClock(Date.UTC(2026, 4, 1, 12));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-migrate-"));
  path = join(folder, "tidegate.db");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const pools = collection<Record<string, unknown>>("test.pool");
const others = collection<Record<string, unknown>>("test.other");

/** As a release would rename `size` to `sizeBytes`, split `address`, and drop what has ended. */
const reshaping: Migration = {
  what: "pools say their size in bytes and their address in parts",
  collection: "test.pool",
  reshape: ({ size, address, ...rest }) => {
    if (rest["ended"] === true) return undefined;
    const [ip, port] = String(address).split(":");
    return { ...rest, sizeBytes: Number(size) * 1024, ip, port: Number(port) };
  },
};
const indexing: Migration = { what: "an index", sql: "CREATE INDEX record_by_revision ON record (revision);" };
const failing: Migration = {
  what: "a step that fails half way",
  collection: "test.pool",
  reshape: (record) => {
    if (record["name"] === "b") throw new Error("no such zone");
    return { ...record, touched: true };
  },
};

const open = (migrations: readonly Migration[], version = "1.0.0"): Promise<Store> =>
  openSqliteStore({ path, logger: silentLogger, clock, version, migrations });

async function copies(): Promise<readonly string[]> {
  const names: readonly string[] = await readdir(join(folder, COPIES_FOLDER)).catch(() => []);
  return names.toSorted();
}

async function fill(): Promise<void> {
  const store = await open(MIGRATIONS, "1.0.0");
  await store.transact([
    { op: "put", collection: pools, key: "a", value: { name: "a", size: 3, address: "10.0.0.1:80" } },
    { op: "put", collection: pools, key: "b", value: { name: "b", size: 1, address: "10.0.0.2:81" } },
    { op: "put", collection: pools, key: "c", value: { name: "c", size: 1, address: "10.0.0.3:82", ended: true } },
    { op: "put", collection: others, key: "a", value: { size: 7 } },
  ]);
  await store.close();
}

it("gives records their new shape, keeps their revisions, and keeps a sound copy of before for the owner alone", async () => {
  await fill();
  const store = await open([...MIGRATIONS, reshaping, indexing], "2.0.0");
  expect(await store.list(pools)).toEqual([
    { key: "a", revision: 1, value: { name: "a", sizeBytes: 3072, ip: "10.0.0.1", port: 80 } },
    { key: "b", revision: 1, value: { name: "b", sizeBytes: 1024, ip: "10.0.0.2", port: 81 } },
  ]);
  expect((await store.get(others, "a"))?.value).toEqual({ size: 7 });
  await store.transact([{ op: "put", collection: others, key: "b", value: {} }]);
  await store.close();
  expect(checkDatabase(path)).toEqual({ schemaVersion: MIGRATIONS.length + 2, tidegateVersion: "2.0.0", records: 4 });

  expect(await copies()).toEqual([`tidegate.db.v${MIGRATIONS.length}.2026-05-01T12-00-00.000Z`]);
  const copy = join(folder, COPIES_FOLDER, (await copies())[0] ?? "");
  expect(checkDatabase(copy)).toEqual({ schemaVersion: MIGRATIONS.length, tidegateVersion: "1.0.0", records: 4 });
  expect((await stat(copy)).mode & 0o777).toBe(0o600);
  // The copy is what a downgrade goes back to.
  path = copy;
  const older = await open(MIGRATIONS);
  expect((await older.get(pools, "a"))?.value).toEqual({ name: "a", size: 3, address: "10.0.0.1:80" });
  await older.close();
});

it("leaves everything as it was when a step fails, with words, and the older Tidegate goes on", async () => {
  await fill();
  await expect(open([...MIGRATIONS, reshaping, failing], "2.0.0")).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringMatching(
      new RegExp(`from schema ${MIGRATIONS.length} to ${MIGRATIONS.length + 2}: step .*fails half way.*no such zone.*It is as it was`),
    ) as string,
  });
  expect(checkDatabase(path)).toEqual({ schemaVersion: MIGRATIONS.length, tidegateVersion: "1.0.0", records: 4 });
  const store = await open(MIGRATIONS);
  expect((await store.get(pools, "b"))?.value).toEqual({ name: "b", size: 1, address: "10.0.0.2:81" });
  await store.close();
});

it("does not begin when the copy cannot be made", async () => {
  await fill();
  await writeFile(join(folder, COPIES_FOLDER), "in the way");
  await expect(open([...MIGRATIONS, reshaping], "2.0.0")).rejects.toMatchObject({ kind: "unavailable" });
  await rm(join(folder, COPIES_FOLDER));
  expect(checkDatabase(path).schemaVersion).toBe(MIGRATIONS.length);
});

it("keeps the last three copies, and none of a database that is new or needs no step", async () => {
  await fill();
  await (await open(MIGRATIONS)).close();
  expect(await copies()).toEqual([]);
  const steps = [...MIGRATIONS];
  for (let round = 0; round < 5; round++) {
    await clock.advance(60_000);
    steps.push({ what: `table ${round}`, sql: `CREATE TABLE t${round} (x);` });
    await (await open(steps)).close();
  }
  expect((await copies()).map((name) => name.slice(0, name.indexOf(".2026")))).toEqual(
    [2, 3, 4].map((round) => `tidegate.db.v${MIGRATIONS.length + round}`),
  );
});

it("takes in a database of before anything was kept of who wrote it", async () => {
  const old = new DatabaseSync(path);
  const [first] = MIGRATIONS;
  old.exec("CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT; INSERT INTO schema_version VALUES (1);");
  old.exec(first !== undefined && "sql" in first ? first.sql : "");
  old.exec(`INSERT INTO record VALUES ('test.pool', 'a', 5, '{"name":"a"}'); UPDATE store_revision SET current = 5;`);
  old.close();
  const store = await open(MIGRATIONS, "2.0.0");
  expect(await store.get(pools, "a")).toEqual({ key: "a", revision: 5, value: { name: "a" } });
  expect(await store.transact([{ op: "put", collection: pools, key: "b", value: {} }])).toBe(6);
  await store.close();
  expect(checkDatabase(path)).toMatchObject({ tidegateVersion: "2.0.0" });
  expect(await copies()).toHaveLength(1);
});

it("names the newer Tidegate that it cannot follow, and writes nothing", async () => {
  await fill();
  await (await open([...MIGRATIONS, indexing], "9.1.0")).close();
  await expect(open(MIGRATIONS)).rejects.toMatchObject({
    kind: "unsupported",
    message: expect.stringContaining("A newer Tidegate (9.1.0) wrote it") as string,
  });
  expect(checkDatabase(path)).toMatchObject({ tidegateVersion: "9.1.0", schemaVersion: MIGRATIONS.length + 1 });
});
