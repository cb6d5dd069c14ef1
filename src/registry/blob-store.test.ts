import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { blobStoreConformance } from "./blob-store-suite.ts";
import { FileBlobStore } from "./blob-store.ts";
import { blobOf } from "./test-registry.ts";

async function openStore(clock = new FakeClock()): Promise<FileBlobStore & AsyncDisposable & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-blobs-"));
  const store = await FileBlobStore.open(folder, { clock, ids: randomIds });
  return Object.assign(store, { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) });
}

describe("FileBlobStore", () => {
  blobStoreConformance(openStore);

  it("leaves no temporary file, whatever happened", async () => {
    await using store = await openStore();
    const blob = blobOf();
    await store.write(blob.digest, Readable.from([blob.bytes]));
    await store.write(blob.digest, Readable.from([blob.bytes]));
    await store.write(blobOf().digest, Readable.from([blob.bytes])).catch(() => {});
    expect(await readdir(join(store.folder, "tmp"))).toEqual([]);
  });

  it("empties the temporary folder of a killed process, and keeps the blobs", async () => {
    await using store = await openStore();
    const blob = blobOf();
    await store.write(blob.digest, Readable.from([blob.bytes]));
    await writeFile(join(store.folder, "tmp", "left"), "half a blob");
    const again = await FileBlobStore.open(store.folder, { clock: new FakeClock(), ids: randomIds });
    expect(await readdir(join(store.folder, "tmp"))).toEqual([]);
    expect(await again.stat(blob.digest)).toMatchObject({ sizeBytes: blob.bytes.length });
  });

  it("remembers, across a restart, when a blob was touched", async () => {
    const clock = new FakeClock();
    await using store = await openStore(clock);
    const blob = blobOf();
    await store.write(blob.digest, Readable.from([blob.bytes]));
    await clock.advance(5_000);
    await store.exclusively(blob.digest, () => store.touch(blob.digest));
    const again = await FileBlobStore.open(store.folder, { clock, ids: randomIds });
    expect((await again.stat(blob.digest))?.touchedAtMs).toBe(clock.nowMs());
    expect(await store.exclusively(blobOf().digest, () => store.touch(blobOf().digest))).toBe(false);
  });
});
