import { createHash } from "node:crypto";
import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Store } from "../../contracts/store.ts";
import type { KeptInstance } from "../../core/config.ts";
import { silentLogger } from "../../core/logger.ts";
import { encodeBatch, encodeHead } from "../../logstore/frames.ts";
import { streams } from "../../logstore/records.ts";
import { blobPath } from "../../registry/blob-path.ts";
import { BLOB_LINKS } from "../../registry/records.ts";
import { openSqliteStore } from "../../store/sqlite/sqlite-store.ts";
import { checkFiles } from "./check-files.ts";
import type { BackupManifest } from "./manifest.ts";
import { stageBackup } from "./stage.ts";

let folder: string;
let store: Store;
const dataDir = (): string => join(folder, "data");
const staging = (): string => join(folder, "staging");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-stage-"));
  await mkdir(staging());
  store = await openSqliteStore({ path: join(dataDir(), "tidegate.db"), logger: silentLogger });
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

const digestOf = (content: string): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;
const fileOf = (digest: string): string => join(dataDir(), "registry", blobPath(digest));

async function writeBlob(content: string): Promise<string> {
  const digest = digestOf(content);
  await mkdir(dirname(fileOf(digest)), { recursive: true });
  await writeFile(fileOf(digest), content);
  return digest;
}

async function linkInRepository(digest: string): Promise<void> {
  await store.transact([{ op: "put", collection: BLOB_LINKS, key: `100000000000/us-east-1/r@${digest}`, value: { digest, sizeBytes: 1 } }]);
}

interface Said {
  readonly said: readonly string[];
  readonly manifest: BackupManifest;
}

/** `meanwhile` runs when the database is about to be copied. */
async function stage(meanwhile: () => Promise<void> = async () => {}): Promise<Said> {
  const said: string[] = [];
  const manifest = await stageBackup({
    dataDir: dataDir(),
    staging: staging(),
    instance: {} as KeptInstance,
    nowMs: 0,
    say: (text) => void said.push(text),
    beforeCopy: meanwhile,
  });
  return { said, manifest };
}

const has = (manifest: BackupManifest, digest: string): boolean => manifest.files.some(({ path }) => path.endsWith(digest.slice("sha256:".length)));

it("holds what the copied database speaks of, whatever is pushed and collected meanwhile, and nothing else", async () => {
  const [kept, garbage, collected] = [await writeBlob("kept"), await writeBlob("garbage"), await writeBlob("collected")];
  await linkInRepository(kept);
  await linkInRepository(collected);
  let pushed = "";
  const { manifest } = await stage(async () => {
    // Its record goes a moment later: the copy speaks of it still.
    await rm(fileOf(collected));
    pushed = await writeBlob("pushed");
    await linkInRepository(pushed);
  });
  expect([kept, collected, pushed, garbage].map((digest) => has(manifest, digest))).toEqual([true, true, true, false]);
  await checkFiles(staging(), manifest);
  // Links: the registry's files are not written a second time.
  expect((await stat(fileOf(kept))).nlink).toBe(2);
});

it("names the blob that is missing, or damaged, on disk", async () => {
  await linkInRepository(digestOf("never written"));
  await expect(stage()).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining(`lacks blob ${digestOf("never written")}`) as string,
  });
  await mkdir(dirname(fileOf(digestOf("never written"))), { recursive: true });
  await writeFile(fileOf(digestOf("never written")), "something else");
  await rm(staging(), { recursive: true });
  await mkdir(staging());
  await expect(stage()).rejects.toMatchObject({ kind: "invalid", message: expect.stringContaining("is damaged on disk") as string });
});

it("takes the whole frames of a stream that is being written to, and says where a sealed segment is damaged", async () => {
  const id = "0123456789abcdef0123456789abcdef";
  await store.transact([{ op: "put", collection: streams, key: "100000000000/us-east-1/g:s", value: { id, name: "s", createdAtMs: 0 } }]);
  const logs = join(dataDir(), "logs", id);
  await mkdir(logs, { recursive: true });
  const head = encodeHead({ firstSequence: 1, positions: {} });
  const batch = encodeBatch({ firstSequence: 1, ingestionMs: 0, events: [{ timestampMs: 0, message: "a line" }] }).bytes;
  const [sealed, last] = [join(logs, "000000000001.seg"), join(logs, "000000000002.seg")];
  await writeFile(sealed, Buffer.concat([head, batch]));
  await writeFile(last, Buffer.concat([head, batch, batch.subarray(0, 20)]));
  const { manifest } = await stage();
  const sizes = Object.fromEntries(manifest.files.map(({ path, sizeBytes }) => [path, sizeBytes]));
  expect(sizes).toMatchObject({
    [`logs/${id}/000000000001.seg`]: head.length + batch.length,
    [`logs/${id}/000000000002.seg`]: head.length + batch.length,
  });
  await checkFiles(staging(), manifest);
  // The original is as it was, and the staged one does not grow with it.
  expect((await stat(last)).size).toBe(head.length + batch.length + 20);
  await appendFile(last, batch);
  await checkFiles(staging(), manifest);

  await writeFile(sealed, Buffer.concat([head, Buffer.from(batch).fill(7, 12), batch]));
  await rm(staging(), { recursive: true });
  await mkdir(staging());
  const { said } = await stage();
  expect(said).toContainEqual(`${sealed} is damaged after its first ${head.length} bytes: the rest is left out`);
  expect((await readFile(sealed)).length).toBe(head.length + 2 * batch.length);
});
