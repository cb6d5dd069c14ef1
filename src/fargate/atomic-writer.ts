import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { inside } from "./inside.ts";

/** One file of a volume, as it is to be on disk. */
export interface WrittenFile {
  readonly path: string;
  readonly mode: number;
  readonly userId?: number;
  readonly content: Buffer;
}

/** What a `..data` leads to; nothing that a container's program takes for one of its files. */
const VERSION = "..files.";
const CURRENT = "..data";
const NEXT = "..data_tmp";
/** What a group that owns files gets of them, as the kubelet gives it: to read files, to enter folders, which pass it on. */
const GROUP_READS = 0o440;
const GROUP_ENTERS = 0o2550;
const FOLDER_MODE = 0o755;

/**
 * Brings a folder to hold exactly these files, all at once for those who look into it, as the kubelet's atomic writer does: each name is a
 * link by way of `..data`, which is swapped. Files that are as they should be are left alone. Idempotent, also after a kill in the middle.
 * @throws Problem `invalid` for a path that leads out of the folder.
 */
export async function writeAtomically(folder: string, files: readonly WrittenFile[], groupId?: number): Promise<void> {
  for (const { path } of files) inside(folder, path, `file ${path}`);
  const current = await readlink(join(folder, CURRENT)).catch(() => undefined);
  if (current === undefined || !(await holds(join(folder, current), files))) {
    const made = await mkdtemp(join(folder, VERSION));
    await chmod(made, FOLDER_MODE);
    for (const file of files) await writeOne(made, file, groupId);
    if (groupId !== undefined) await giveFolders(made, groupId);
    await rm(join(folder, NEXT), { force: true });
    await symlink(made.slice(folder.length + 1), join(folder, NEXT));
    await rename(join(folder, NEXT), join(folder, CURRENT));
  }
  await showNames(folder, new Set(files.map(({ path }) => path.split("/")[0] ?? "")));
}

async function holds(version: string, files: readonly WrittenFile[]): Promise<boolean> {
  const there = await readdir(version, { recursive: true, withFileTypes: true }).catch(() => []);
  if (there.filter((entry) => entry.isFile()).length !== new Set(files.map(({ path }) => path)).size) return false;
  for (const { path, content } of files) {
    const known = await readFile(join(version, path)).catch(() => undefined);
    if (known?.equals(content) !== true) return false;
  }
  return true;
}

async function writeOne(version: string, { path, mode, userId = 0, content }: WrittenFile, groupId?: number): Promise<void> {
  const target = join(version, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
  await chown(target, userId, groupId ?? 0);
  // After the owner, whose change would take away bits.
  await chmod(target, groupId === undefined ? mode : mode | GROUP_READS);
}

async function giveFolders(version: string, groupId: number): Promise<void> {
  const entries = await readdir(version, { recursive: true, withFileTypes: true });
  const folders = [version, ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))];
  for (const folder of folders) {
    await chown(folder, 0, groupId);
    await chmod(folder, FOLDER_MODE | GROUP_ENTERS);
  }
}

/** Links for what is there, none for what is not; versions that nothing leads to any more go. */
async function showNames(folder: string, names: ReadonlySet<string>): Promise<void> {
  const current = await readlink(join(folder, CURRENT));
  for (const name of await readdir(folder)) {
    const isOldVersion = name.startsWith(VERSION) && name !== current;
    if (isOldVersion || (!name.startsWith("..") && !names.has(name))) await rm(join(folder, name), { recursive: true, force: true });
  }
  for (const name of names) {
    const known = await lstat(join(folder, name)).catch(() => undefined);
    if (known?.isSymbolicLink()) continue;
    await rm(join(folder, name), { recursive: true, force: true });
    await symlink(join(CURRENT, name), join(folder, name));
  }
}
