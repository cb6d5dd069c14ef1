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
  const [blobs, logs] = await Promise.all([bytesUnder(join(dataDir, "registry", "blobs")), bytesUnder(join(dataDir, "logs"))]);
  return { copiedBytes: database + logs, totalBytes: database + blobs + logs };
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
