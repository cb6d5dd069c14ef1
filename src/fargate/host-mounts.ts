import { chmod, lstat, mkdir, readFile, realpath, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { Problem } from "../core/problem.ts";
import { run } from "../host/run.ts";
import { inside } from "./inside.ts";

/** A line of `/proc/self/mountinfo`. */
interface MountEntry {
  readonly device: string;
  /** Of the file system, what is mounted. */
  readonly root: string;
  readonly mountPoint: string;
}

interface MemoryOptions {
  readonly sizeBytes: number;
  readonly mode: number;
  readonly groupId: number;
}

/** Makes `folder` a file system in memory of at most `sizeBytes`. Idempotent: one that is there stays, with what is in it. */
export async function mountMemory(folder: string, { sizeBytes, mode, groupId }: MemoryOptions): Promise<void> {
  if ((await mounts()).some(({ mountPoint }) => mountPoint === folder)) return;
  await run(["mount", "-t", "tmpfs", "-o", `size=${sizeBytes},mode=${mode.toString(8)},gid=${groupId}`, "tidegate", folder]);
}

/**
 * Makes `target` show what is at `subPath` of the volume, which is made as a folder where it is missing. What containers put in the way
 * meanwhile leads nowhere else: what was mounted is looked at afterwards, in the kernel's own list.
 * @throws Problem `invalid` when the path leads out of the volume.
 */
export async function mountSubPath(volume: string, subPath: string, target: string): Promise<void> {
  const what = `subPath ${subPath}`;
  const source = await makeWithin(volume, inside(volume, subPath, what), what);
  await unmountAll(target);
  await mkdir(dirname(target), { recursive: true });
  if ((await lstat(source)).isDirectory()) await mkdir(target, { recursive: true });
  else await writeFile(target, "", { flag: "a" });
  await run(["mount", "--bind", source, target]);
  if (await isWithin(volume, target)) return;
  await unmountAll(target);
  throw new Problem("invalid", `${what} leads out of the volume`);
}

/** Takes away every mount at and beneath `folder`, the deepest first, also where somebody uses it still. */
export async function unmountAll(folder: string): Promise<void> {
  const there = (await mounts()).filter(({ mountPoint }) => mountPoint === folder || mountPoint.startsWith(`${folder}/`));
  for (const { mountPoint } of there.toReversed()) await run(["umount", "--lazy", mountPoint]);
}

/** Follows the path through the volume, and makes the folders that are missing, open as the volume is. */
async function makeWithin(volume: string, path: string, what: string): Promise<string> {
  const root = await realpath(volume);
  const { mode } = await lstat(root);
  let at = root;
  for (const part of relative(volume, path)
    .split("/")
    .filter((each) => each !== "")) {
    const next = join(at, part);
    if ((await lstat(next).catch(() => undefined)) === undefined) {
      await mkdir(next);
      await chmod(next, mode & 0o7777);
    }
    at = await realpath(next);
    if (at !== root && !at.startsWith(`${root}/`)) throw new Problem("invalid", `${what} leads out of the volume`);
  }
  return at;
}

async function isWithin(volume: string, target: string): Promise<boolean> {
  const all = await mounts();
  const shown = all.findLast(({ mountPoint }) => mountPoint === target);
  const root = await realpath(volume);
  // Of those that cover the volume, the deepest and last one is the file system it is on.
  const around = all
    .filter(({ mountPoint }) => root === mountPoint || root.startsWith(mountPoint === "/" ? "/" : `${mountPoint}/`))
    .reduce<MountEntry | undefined>(
      (best, each) => (best === undefined || each.mountPoint.length >= best.mountPoint.length ? each : best),
      undefined,
    );
  if (shown === undefined || around === undefined || shown.device !== around.device) return false;
  const expected = join(around.root, relative(around.mountPoint, root));
  return shown.root === expected || shown.root.startsWith(expected === "/" ? "/" : `${expected}/`);
}

async function mounts(): Promise<readonly MountEntry[]> {
  const text = await readFile("/proc/self/mountinfo", "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, , device = "", root = "", mountPoint = ""] = line.split(" ");
      return { device, root: unescaped(root), mountPoint: unescaped(mountPoint) };
    });
}

/** Blanks are written in octal. */
function unescaped(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
