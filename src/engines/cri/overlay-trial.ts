import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../host/run.ts";

/**
 * Whether overlayfs works in the data folder, found out by mounting one: the folder's file system may be an overlay itself, or lack what
 * overlayfs needs of an upper layer. Leaves nothing behind.
 */
export async function overlayWorks(dataDir: string): Promise<boolean> {
  await removeOverlayTrial(dataDir);
  const folder = folderOf(dataDir);
  const [lower, upper, work] = ["lower", "upper", "work"].map((name) => join(folder, name));
  const merged = mergedOf(dataDir);
  try {
    for (const layer of [lower, upper, work, merged]) await mkdir(layer as string, { recursive: true });
    await run(["mount", "-t", "overlay", "overlay", "-o", `lowerdir=${lower},upperdir=${upper},workdir=${work}`, merged]);
    return true;
  } catch {
    return false;
  } finally {
    await removeOverlayTrial(dataDir);
  }
}

/** Takes away what a trial that was killed left, its mount included. For every start: one that knows its snapshotter makes no trial of its own. */
export async function removeOverlayTrial(dataDir: string): Promise<void> {
  const folder = folderOf(dataDir);
  if (!existsSync(folder)) return;
  await run(["umount", "-l", mergedOf(dataDir)], { okCodes: [0, 1, 32] });
  await rm(folder, { recursive: true, force: true });
}

function folderOf(dataDir: string): string {
  return join(dataDir, "overlay-test");
}

function mergedOf(dataDir: string): string {
  return join(folderOf(dataDir), "merged");
}
