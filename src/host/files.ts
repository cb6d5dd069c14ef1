import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** Replaces a file's content so that a reader, or a restart after a power cut, sees the old content or the new, whole. Makes missing folders. */
export async function writeFileAtomically(path: string, content: string | Uint8Array, options: { readonly mode?: number } = {}): Promise<void> {
  const folder = dirname(path);
  const made = await mkdir(folder, { recursive: true });
  if (made !== undefined) await syncNames({ from: made, to: folder });
  const temporary = `${path}.${process.pid}.${(sequence++).toString(36)}.tmp`;
  try {
    const file = await open(temporary, "w", options.mode ?? 0o644);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // On a full disk what was begun would only take more of it.
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

let sequence = 0;

/** Puts a file that is on disk already, as `writeFileAtomically` leaves it, in another one's place in the same folder; durable when it resolves. */
export async function replaceFile(draft: string, path: string): Promise<void> {
  await rename(draft, path);
  await syncFolder(dirname(path));
}

/**
 * Makes a folder, with what is missing above it, so that a power cut does not take it away again with all that is stored in it later. One
 * that is there is made sure of too: a process that was killed may have made it.
 */
export async function makeFolder(path: string, options: { readonly mode?: number } = {}): Promise<void> {
  const made = await mkdir(path, { recursive: true, ...options });
  await syncNames({ from: made ?? path, to: path });
}

/** Makes durable the names of the folders from `from` down to `to`, which is in it or is it. */
async function syncNames({ from, to }: { readonly from: string; readonly to: string }): Promise<void> {
  const above = dirname(resolve(from));
  for (let folder = dirname(resolve(to)); ; folder = dirname(folder)) {
    await syncFolder(folder);
    if (folder === above || folder === dirname(folder)) return;
  }
}

const DRAFT = /\.\d+\.[0-9a-z]+\.tmp$/;

/** Removes what `writeFileAtomically` left in a folder when its process was killed. Nobody may write there meanwhile. A folder that is not there has none. */
export async function removeDrafts(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(ifMissing([]))) if (DRAFT.test(name)) await rm(join(folder, name), { force: true });
}

function ifMissing<T>(otherwise: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === "ENOENT") return otherwise;
    throw error;
  };
}

/** Makes renames and new names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The file's text; `undefined` when there is none. */
export async function readTextIfAny(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
