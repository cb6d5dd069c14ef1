import { constants } from "node:fs";
import { copyFile, readFile, readlink, rename, rm, stat, truncate } from "node:fs/promises";

/** Beyond this a daemon's log, or Tidegate's own, is cut. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;

/**
 * Keeps a log small that somebody appends to, without its writer's help: a file that has grown beyond `maxBytes` is copied to `<path>.1`,
 * in place of the copy before, and cut to nothing. Its writer must have opened it with O_APPEND. Lines that are written between copy and cut
 * are lost: for logs of programs, not of users. Without room for the copy there is none, for the sake of the bound.
 * Answers whether it was cut; one that is not there is left alone.
 */
export async function boundLog(path: string, maxBytes = MAX_LOG_BYTES): Promise<boolean> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return false;
  const draft = `${path}.1.tmp`;
  try {
    await copyFile(path, draft, constants.COPYFILE_FICLONE);
    await rename(draft, `${path}.1`);
  } catch {
    await rm(draft, { force: true });
  }
  await truncate(path, 0);
  return true;
}

/** The file under `folder` that a descriptor of this process appends to; `undefined` when it leads anywhere else. */
export async function appendedFile(descriptor: number, folder: string): Promise<string | undefined> {
  try {
    const path = await readlink(`/proc/self/fd/${descriptor}`);
    const flags = /^flags:\s+0?([0-7]+)$/m.exec(await readFile(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1];
    const appends = (Number.parseInt(flags ?? "0", 8) & constants.O_APPEND) !== 0;
    return appends && path.startsWith(`${folder}/`) && !path.endsWith(" (deleted)") ? path : undefined;
  } catch {
    return undefined;
  }
}
