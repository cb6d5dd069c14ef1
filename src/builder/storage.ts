import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { run } from "../host/run.ts";

/** Removes the builders' own storage. A build that was killed leaves mounts in it, which go first. Nothing is there: nothing is done. */
export async function removeBuilderState(stateFolder: string): Promise<void> {
  for (const path of mountsBelow(stateFolder, await readFile("/proc/self/mountinfo", "utf8"))) await run(["umount", "--lazy", path]);
  await rm(stateFolder, { recursive: true, force: true });
}

/** No build takes longer; a folder that is older was left by one that was killed. */
const LONGEST_BUILD_MS = 6 * 60 * 60_000;
const PRUNE_TIMEOUT_MS = 5 * 60_000;

/**
 * Empties the builder's own cache: images and layers, which the next build makes or pulls again. False, and nothing is done, while a build
 * runs. BuildKit and Docker keep their caches elsewhere; those are their owner's.
 */
export async function pruneBuilderState(stateFolder: string, clock: Clock): Promise<boolean> {
  const entries: readonly string[] = await readdir(stateFolder).catch(() => []);
  const builds = entries.filter((name) => /^(build|seed)-/.test(name)).map((name) => join(stateFolder, name));
  const isOld = async (path: string): Promise<boolean> =>
    clock.nowMs() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0) > LONGEST_BUILD_MS;
  const old = await Promise.all(builds.map(isOld));
  if (old.includes(false)) return false;
  for (const path of builds) await rm(path, { recursive: true, force: true });
  if (!entries.includes("buildah")) return true;
  const buildah = ["buildah", "--root", join(stateFolder, "buildah"), "--runroot", join(stateFolder, "buildah-run")];
  const words = { timeoutMs: PRUNE_TIMEOUT_MS, okCodes: [0, 1, 125] };
  if (builds.length > 0) await run([...buildah, "rm", "--all"], words);
  await run([...buildah, "rmi", "--all", "--force"], words);
  return true;
}

/** Mount points in and below a folder, the innermost first. Pure. */
export function mountsBelow(folder: string, mountInfo: string): readonly string[] {
  const paths = mountInfo.split("\n").map((line) => unescapeOctal(line.split(" ")[4] ?? ""));
  return paths.filter((path) => path === folder || path.startsWith(`${folder}/`)).toReversed();
}

/** The kernel writes space, tab, newline and backslash as `\\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
