import { rename, rm } from "node:fs/promises";
import { RpcError } from "./grpc.ts";

const REFUSED = /failed to rename: rename \S+ (\S+\/io\.containerd\.snapshotter\.v1\.\w+\/snapshots\/\d+): file exists/;
const TRIES = 20;

/** By containerd's root: the removal that is under way. */
const turns = new Map<string, Promise<unknown>>();

/**
 * Runs a call that makes a snapshot. A containerd that was killed just before it noted a new snapshot has its folder already; the next one
 * gives the same number out again and finds it taken, for ever. As it does so in the one write that it allows at a time, nobody has the
 * folder: it is removed, and the call made again. One call at a time does that: a folder that another had removed may be a new snapshot's.
 * @param root containerd's; nothing outside is touched.
 */
export async function removingHalfMadeSnapshots<T>(root: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (folderInTheWay(root, error) === undefined) throw error;
  }
  const turn = (turns.get(root) ?? Promise.resolve()).then(() => removeAndCall(root, call));
  turns.set(
    root,
    turn.catch(() => {}),
  );
  return await turn;
}

async function removeAndCall<T>(root: string, call: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await call();
    } catch (error) {
      const folder = folderInTheWay(root, error);
      if (folder === undefined || left === 0) throw error;
      await removeAtOnce(folder);
    }
  }
}

/** A new snapshot may take the place of a folder that is empty already: its name must go with all that is in it. */
async function removeAtOnce(folder: string): Promise<void> {
  const aside = `${folder}.half-made`;
  await rm(aside, { recursive: true, force: true });
  try {
    await rename(folder, aside);
  } catch (error) {
    // containerd's own garbage collection takes such folders too.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

function folderInTheWay(root: string, error: unknown): string | undefined {
  const [, folder] = (error instanceof RpcError ? REFUSED.exec(error.message) : null) ?? [];
  return folder?.startsWith(`${root}/`) === true ? folder : undefined;
}
