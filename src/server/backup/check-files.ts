import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { Problem } from "../../core/problem.ts";
import { soundBytes } from "../../logstore/segment.ts";
import { blobPath } from "../../registry/blob-path.ts";
import { BLOB_LINKS, MANIFESTS, type BlobLinkRecord, type ManifestRecord } from "../../registry/records.ts";
import { checkDatabase, readRecords } from "../../store/sqlite/copy-database.ts";
import { type BackupFile, type BackupManifest, DATABASE_FILE, MANIFEST_FILE } from "./manifest.ts";

/**
 * Reads everything under `folder`, laid out as the manifest says, from end to end: each file there and no other, with its size and checksum;
 * blobs by their digests; the database's pages; the checksums of log frames; and each blob that the database speaks of.
 * @throws Problem `invalid` that names the first thing that is wrong.
 */
export async function checkFiles(folder: string, manifest: BackupManifest): Promise<void> {
  const wanted = new Map(manifest.files.map((file) => [file.path, file]));
  for (const path of await filesUnder(folder)) {
    if (path !== MANIFEST_FILE && !wanted.has(path)) throw new Problem("invalid", `it holds ${path}, which its manifest does not know`);
  }
  for (const file of wanted.values()) await checkFile(folder, file);
  const facts = checkDatabase(join(folder, DATABASE_FILE));
  if (facts.schemaVersion !== manifest.schemaVersion) {
    throw new Problem("invalid", `its database has schema ${facts.schemaVersion}, its manifest says ${manifest.schemaVersion}`);
  }
  for (const digest of blobsOf(join(folder, DATABASE_FILE))) {
    if (!wanted.has(join("registry", blobPath(digest))))
      throw new Problem("invalid", `its database speaks of blob ${digest}, which it does not hold`);
  }
}

async function checkFile(folder: string, { path, sizeBytes, sha256 }: BackupFile): Promise<void> {
  const full = join(folder, path);
  const info = await lstat(full).catch(() => undefined);
  if (info === undefined || !info.isFile()) throw new Problem("invalid", `${path} is missing`);
  if (info.size !== sizeBytes) throw new Problem("invalid", `${path} has ${info.size} bytes instead of ${sizeBytes}`);
  const actual = await sha256Of(full);
  if (actual !== sha256) throw new Problem("invalid", `${path} has the checksum ${actual} instead of ${sha256}`);
  const [, blob] = /^registry\/blobs\/sha256\/..\/(.+)$/.exec(path) ?? [];
  if (blob !== undefined && blob !== actual) throw new Problem("invalid", `blob sha256:${blob} has the content of sha256:${actual}`);
  if (path.endsWith(".seg") && (await soundBytes(full)) !== sizeBytes) throw new Problem("invalid", `${path} holds a damaged frame`);
}

/** The digests that repositories hold, and the manifests'. */
export function blobsOf(databasePath: string): ReadonlySet<string> {
  const digests = new Set<string>();
  for (const { collection, value } of readRecords(databasePath)) {
    if (collection === BLOB_LINKS.name) digests.add((value as BlobLinkRecord).digest);
    if (collection === MANIFESTS.name) digests.add((value as ManifestRecord).digest);
  }
  return digests;
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}

/** Paths below `folder` of all that is no folder, in order. */
export async function filesUnder(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}
