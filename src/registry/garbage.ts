import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { scopeOfKey } from "../core/scope.ts";
import type { FileBlobStore } from "./blob-store.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import type { RepositoryRef } from "./names.ts";
import { BLOB_LINKS, digestKey, MANIFESTS, REPOSITORIES, repositoryKey } from "./records.ts";
import type { Uploads } from "./uploads.ts";

export interface GarbageOptions {
  readonly store: Store;
  readonly blobs: FileBlobStore;
  readonly uploads: Uploads;
  readonly clock: Clock;
  readonly locks: KeyedLock;
  /** What was written, looked up or mounted within this time stays. */
  readonly graceMs: number;
  /** Uploads that nothing was added to for this long end. */
  readonly uploadExpiryMs: number;
}

export interface GarbageReport {
  readonly uploadsEnded: number;
  /** Blobs taken out of a repository because none of its manifests uses them. */
  readonly linksDeleted: number;
  readonly blobsDeleted: number;
  readonly freedBytes: number;
}

/**
 * Mark and sweep, safe beside pushes: whatever a push relies on is touched when the push learns that it is there (an upload ends, a HEAD or
 * a mount succeeds), and nothing touched within the grace is collected; the check and the deletion hold the blob's lock, and so does the
 * touch. Links go before files, so a crash in between leaves a file without a link, never a link without a file.
 */
export async function collectGarbage(options: GarbageOptions): Promise<GarbageReport> {
  const nowMs = options.clock.nowMs();
  const untilMs = nowMs - options.graceMs;
  const uploadsEnded = await options.uploads.sweep({ untilMs: nowMs - options.uploadExpiryMs });
  let linksDeleted = 0;
  for (const repository of await repositoriesWithLinks(options.store)) linksDeleted += await unlinkUnused(options, repository, untilMs);
  const { blobsDeleted, freedBytes } = await deleteUnlinked(options, untilMs);
  return { uploadsEnded, linksDeleted, blobsDeleted, freedBytes };
}

/** Those that were deleted while a push to them went on are among them. */
async function repositoriesWithLinks(store: Store): Promise<readonly RepositoryRef[]> {
  const found = new Map<string, RepositoryRef>();
  for (const { key } of await store.list(BLOB_LINKS)) {
    const path = key.slice(0, key.lastIndexOf("@"));
    const scope = scopeOfKey(path);
    found.set(path, { ...scope, name: path.slice(`${scope.account}/${scope.region}/`.length) });
  }
  return [...found.values()];
}

async function unlinkUnused(options: GarbageOptions, repository: RepositoryRef, untilMs: number): Promise<number> {
  const { store, blobs } = options;
  return options.locks.run(repositoryKey(repository), async () => {
    const used = new Set<string>();
    if ((await store.get(REPOSITORIES, repositoryKey(repository))) !== undefined) {
      for (const { value } of await store.list(MANIFESTS, { prefix: digestKey(repository) })) for (const digest of value.blobs) used.add(digest);
    }
    let deleted = 0;
    for (const { key, value } of await store.list(BLOB_LINKS, { prefix: digestKey(repository) })) {
      if (used.has(value.digest)) continue;
      const gone = await blobs.exclusively(value.digest, async () => {
        const info = await blobs.stat(value.digest);
        if (info !== undefined && info.touchedAtMs >= untilMs) return false;
        await store.transact([{ op: "delete", collection: BLOB_LINKS, key }]);
        return true;
      });
      if (gone) deleted++;
    }
    return deleted;
  });
}

async function deleteUnlinked(options: GarbageOptions, untilMs: number): Promise<{ readonly blobsDeleted: number; readonly freedBytes: number }> {
  const { store, blobs } = options;
  // Whoever links a blob after these lists were made has touched it just before.
  const used = new Set<string>();
  for (const { value } of await store.list(BLOB_LINKS)) used.add(value.digest);
  for (const { value } of await store.list(MANIFESTS)) used.add(value.digest);
  let blobsDeleted = 0;
  let freedBytes = 0;
  for await (const digest of blobs.list()) {
    if (used.has(digest)) continue;
    await blobs.exclusively(digest, async () => {
      const info = await blobs.stat(digest);
      if (info === undefined || info.touchedAtMs >= untilMs) return;
      await blobs.delete(digest);
      blobsDeleted++;
      freedBytes += info.sizeBytes;
    });
  }
  return { blobsDeleted, freedBytes };
}
