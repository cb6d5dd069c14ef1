import { chmodSync, copyFileSync, existsSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { collection, type Change, type Store, type Write } from "../../contracts/store.ts";
import { silentLogger } from "../../core/logger.ts";
import { storeConformance } from "../conformance.ts";
import { createMemoryStore } from "../memory/memory-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folders: string[] = [];

async function newPath(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-store-"));
  folders.push(folder);
  return join(folder, "state.db");
}

const openAt = (path: string): Promise<Store> => openSqliteStore({ path, logger: silentLogger });

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

describe("sqlite store", () => {
  storeConformance(async () => openAt(await newPath()));

  it("refuses the database of a newer Tidegate, with words, and leaves it alone", async () => {
    const path = await newPath();
    await (await openAt(path)).close();
    const database = new DatabaseSync(path);
    database.exec("UPDATE schema_version SET version = 999");
    database.close();
    await expect(openAt(path)).rejects.toThrow(/schema version 999.*newer Tidegate/s);
    await expect(openAt(path)).rejects.toMatchObject({ kind: "unsupported" });
  });

  it("lets nobody but its owner read what is in it, secrets among it, whatever an earlier run left", async () => {
    const path = await newPath();
    for (let run = 0; run < 2; run++) {
      const store = await openAt(path);
      await store.transact([{ op: "put", collection: storm, key: "secret", value: { index: 1 } }]);
      const modes = [path, `${path}-wal`, `${path}-shm`].map((file) => statSync(file).mode & 0o777);
      expect(modes).toEqual([0o600, 0o600, 0o600]);
      await store.close();
      chmodSync(path, 0o644);
    }
  });

  it("syncs a storm of writes in few commits", async () => {
    const path = await newPath();
    const store = await openAt(path);
    const before = walFrames(path);
    await Promise.all(
      Array.from({ length: 200 }, (_, index) => store.transact([{ op: "put", collection: storm, key: `k${index}`, value: { index } }])),
    );
    // One frame a page at least for each commit: 200 commits would be 400 frames or more.
    expect(walFrames(path) - before).toBeLessThan(40);
    await store.close();
  });

  it("loses no acknowledged write by a close, and none in an image taken at any moment", async () => {
    const path = await newPath();
    const store = await openAt(path);
    const acknowledged = new Map<string, unknown>();
    const images: { readonly path: string; readonly must: ReadonlyMap<string, unknown> }[] = [];
    for (let round = 0; round < 12; round++) {
      const writes = Array.from({ length: 40 }, async (_, index) => {
        const value = { round, text: "x".repeat(3000) };
        await store.transact([{ op: "put", collection: storm, key: `k${index}`, value }]);
        acknowledged.set(`k${index}`, value);
      });
      await Promise.race(writes);
      images.push({ path: crashImage(path, round), must: new Map(acknowledged) });
      await Promise.all(writes);
    }
    await store.close();
    for (const image of [...images, { path, must: acknowledged }]) {
      const reopened = await openAt(image.path);
      for (const [key, value] of image.must) {
        const found = (await reopened.get(storm, key)) as { readonly value: { readonly round: number } } | undefined;
        expect(found?.value.round).toBeGreaterThanOrEqual((value as { readonly round: number }).round);
      }
      const next = await reopened.transact([{ op: "put", collection: storm, key: "next", value: 1 }]);
      for (const row of await reopened.list(storm)) expect(row.revision).toBeLessThanOrEqual(next);
      await reopened.close();
    }
  });

  it("equals the memory store over random batches, across reopening", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const path = await newPath();
        const memory = createMemoryStore();
        let sqlite = await openAt(path);
        const seen = { memory: [] as Change[], sqlite: [] as Change[] };
        memory.watch(model, (change) => seen.memory.push(change));
        sqlite.watch(model, (change) => seen.sqlite.push(change));
        for (const each of steps) {
          if (each === "reopen") {
            await sqlite.close();
            sqlite = await openAt(path);
            sqlite.watch(model, (change) => seen.sqlite.push(change));
            continue;
          }
          expect(await submit(sqlite, each)).toEqual(await submit(memory, each));
          expect(await sqlite.list(model)).toEqual(await memory.list(model));
        }
        expect(seen.sqlite).toEqual(seen.memory);
        await sqlite.close();
      }),
      { numRuns: 60 },
    );
  });
});

const storm = collection<unknown>("test.storm");
const model = collection<unknown>("test.model");

const key = fc.constantFrom("a", "a/b", "b", "é", "\u{1F600}", "\uffee");
const ifRevision = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });
const write: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ op: fc.constantFrom("create" as const, "put" as const), collection: fc.constant(model), key, value: fc.jsonValue() }),
  fc.record({ op: fc.constant("update" as const), collection: fc.constant(model), key, value: fc.jsonValue(), ifRevision }),
  fc.record({ op: fc.constant("delete" as const), collection: fc.constant(model), key, ifRevision }),
);
/** Batches submitted at once, or a reopening. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.array(fc.array(write, { maxLength: 4 }), { minLength: 1, maxLength: 3 }) },
  fc.constant("reopen" as const),
);

async function submit(store: Store, batches: readonly (readonly Write[])[]): Promise<unknown> {
  const results = await Promise.allSettled(batches.map((batch) => store.transact(batch)));
  return results.map((each) => (each.status === "fulfilled" ? each.value : (each.reason as Error).message));
}

/** Copies the files as a power cut would leave them. Nothing else runs meanwhile. */
function crashImage(path: string, round: number): string {
  const image = `${path}.image${round}`;
  copyFileSync(path, image);
  if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${image}-wal`);
  return image;
}

/** How many page images the write-ahead log of a database with 4 KiB pages holds. */
function walFrames(path: string): number {
  return Math.floor(statSync(`${path}-wal`).size / (4096 + 24));
}
