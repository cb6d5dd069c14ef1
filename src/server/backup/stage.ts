import { access, copyFile, link, mkdir, readdir, stat, truncate, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { KeptInstance } from "../../core/config.ts";
import { Problem } from "../../core/problem.ts";
import { soundBytes } from "../../logstore/segment.ts";
import { streams, type StreamRecord } from "../../logstore/records.ts";
import { blobPath } from "../../registry/blob-path.ts";
import { copyDatabase, readRecords } from "../../store/sqlite/copy-database.ts";
import { VERSION } from "../version.ts";
import { blobsOf, filesUnder, sha256Of } from "./check-files.ts";
import { stageClusters } from "./stage-clusters.ts";
import { BACKUP_FORMAT, type BackupFile, type BackupManifest, DATABASE_FILE } from "./manifest.ts";

export interface StageOptions {
  readonly dataDir: string;
  /** Empty, and on the data folder's filesystem: blobs are linked, not copied. */
  readonly staging: string;
  readonly instance: KeptInstance;
  readonly nowMs: number;
  /** Told what is being done, for people. */
  readonly say: (text: string) => void;
  /** For tests: what happens between the links and the copy. */
  readonly beforeCopy?: () => Promise<void>;
}

const TRIES = 3;

/**
 * Lays out, as a data folder, what a backup is to hold, while the server may run and write: every blob is linked before the database is
 * copied, so that a collection of garbage in between takes none away; what was pushed meanwhile is linked after. Then what the copy does
 * not speak of goes. Of log segments the sound frames are taken: later ones belong to a later backup.
 * @throws Problem `invalid` when the data folder itself is damaged: which blob, and what to do.
 */
export async function stageBackup(options: StageOptions): Promise<BackupManifest> {
  const { staging, instance, nowMs, say } = options;
  await linkAllBlobs(options);
  say("copying the database");
  await options.beforeCopy?.();
  const facts = await copyDatabaseAndBlobs(options);
  await stageClusters(options);
  say("copying logs");
  await stageLogs(options);
  const files: BackupFile[] = [];
  const paths = await filesUnder(staging);
  say(`checking ${paths.length} files`);
  for (const path of paths) files.push(await describe(staging, path));
  return { kind: "tidegate-backup", format: BACKUP_FORMAT, tidegateVersion: VERSION, ...facts, createdAtMs: nowMs, instance, files };
}

async function copyDatabaseAndBlobs(options: StageOptions): Promise<{ readonly schemaVersion: number }> {
  const { dataDir, staging } = options;
  const copy = join(staging, DATABASE_FILE);
  for (let attempt = 1; ; attempt++) {
    const { schemaVersion } = await copyDatabase(join(dataDir, DATABASE_FILE), copy);
    const missing: string[] = [];
    const digests = blobsOf(copy);
    for (const digest of digests) if (!(await linkBlob(options, digest))) missing.push(digest);
    if (missing.length === 0) {
      await dropOthers(options, digests);
      return { schemaVersion };
    }
    // Collected between the copy and the link; the next copy does not speak of it any more.
    if (attempt === TRIES) {
      throw new Problem(
        "invalid",
        `the registry lacks blob ${missing[0]}${missing.length === 1 ? "" : ` and ${missing.length - 1} more`}, which an image needs: ` +
          "push that image again, or delete it, and repeat the backup",
      );
    }
    await unlink(copy);
  }
}

async function linkAllBlobs(options: StageOptions): Promise<void> {
  const root = join(options.dataDir, "registry", "blobs", "sha256");
  let count = 0;
  for (const folder of await readdir(root).catch(() => [])) {
    for (const name of await readdir(join(root, folder))) {
      if (/^[0-9a-f]{64}$/.test(name) && (await linkBlob(options, `sha256:${name}`))) count++;
    }
  }
  options.say(`${count} blobs in the registry`);
}

/** Answers whether it is there. A filesystem without links gets a copy. */
async function linkBlob({ dataDir, staging }: StageOptions, digest: string): Promise<boolean> {
  const path = join("registry", blobPath(digest));
  const [from, to] = [join(dataDir, path), join(staging, path)];
  await mkdir(dirname(to), { recursive: true });
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return true;
    // Collected meanwhile; linked before that, it is there still.
    if (code === "ENOENT")
      return access(to).then(
        () => true,
        () => false,
      );
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EMLINK") throw error;
    await copyFile(from, to);
    return true;
  }
}

async function dropOthers({ staging }: StageOptions, keep: ReadonlySet<string>): Promise<void> {
  const wanted = new Set([...keep].map((digest) => join("registry", blobPath(digest))));
  for (const path of await filesUnder(staging)) if (path.startsWith("registry/") && !wanted.has(path)) await unlink(join(staging, path));
}

async function stageLogs({ dataDir, staging, say }: StageOptions): Promise<void> {
  for (const { collection, value } of readRecords(join(staging, DATABASE_FILE))) {
    if (collection !== streams.name) continue;
    const { id } = value as StreamRecord;
    const [from, to] = [join(dataDir, "logs", id), join(staging, "logs", id)];
    // A stream that nothing was written to has no folder, and retention takes segments away at any time.
    const names = (await readdir(from).catch(() => [])).filter((name) => name.endsWith(".seg")).toSorted();
    if (names.length > 0) await mkdir(to, { recursive: true });
    for (const name of names) await stageSegment(join(from, name), { to: join(to, name), isLast: name === names.at(-1), say });
  }
}

/** All but the last are never written to again: they are linked. */
async function stageSegment(
  from: string,
  place: { readonly to: string; readonly isLast: boolean; readonly say: StageOptions["say"] },
): Promise<void> {
  const { to, isLast, say } = place;
  try {
    if (isLast) await copyFile(from, to);
    else await link(from, to).catch(() => copyFile(from, to));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const [sound, { size }] = [await soundBytes(to), await stat(to)];
  if (sound === size) return;
  if (!isLast) {
    say(`${from} is damaged after its first ${sound} bytes: the rest is left out`);
    await unlink(to);
    await copyFile(from, to);
  }
  await truncate(to, sound);
}

async function describe(staging: string, path: string): Promise<BackupFile> {
  const full = join(staging, path);
  const sha256 = await sha256Of(full);
  const [, blob] = /^registry\/blobs\/sha256\/..\/(.+)$/.exec(path) ?? [];
  if (blob !== undefined && blob !== sha256) {
    throw new Problem("invalid", `blob sha256:${blob} is damaged on disk: delete the images that use it, or push them again after that, and repeat`);
  }
  return { path, sizeBytes: (await stat(full)).size, sha256 };
}
