import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../core/clock.ts";
import { DiskGuard, inWords } from "../../host/disk-guard.ts";

/** @throws Problem `exhausted` when the filesystem of `folder` would be left with less than is kept back. */
export function checkRoom(folder: string, neededBytes: number, what: string): Promise<void> {
  return new DiskGuard({ folder, clock: systemClock }).ensureRoom(`${what} of about ${inWords(neededBytes)} cannot be written`, neededBytes);
}

/** The size of what a backup copies (`copied`) and of all it holds. */
export async function sizesOf(dataDir: string): Promise<{ readonly copiedBytes: number; readonly totalBytes: number }> {
  const database = (await Promise.all(["tidegate.db", "tidegate.db-wal"].map((name) => sizeOf(join(dataDir, name))))).reduce(
    (sum, size) => sum + size,
    0,
  );
  const [blobs, logs, clusters] = await Promise.all(["registry/blobs", "logs", "volumes"].map((folder) => bytesUnder(join(dataDir, folder))));
  // Of EKS clusters' volumes a snapshot each is taken, which is less than they hold.
  const copiedBytes = database + (logs ?? 0) + (clusters ?? 0);
  return { copiedBytes, totalBytes: copiedBytes + (blobs ?? 0) };
}

async function bytesUnder(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []))
    if (entry.isFile()) sum += await sizeOf(join(entry.parentPath, entry.name));
  return sum;
}

function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
