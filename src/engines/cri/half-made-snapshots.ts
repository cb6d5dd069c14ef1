import { rm } from "node:fs/promises";
import { RpcError } from "./grpc.ts";

const REFUSED = /failed to rename: rename \S+ (\S+\/io\.containerd\.snapshotter\.v1\.\w+\/snapshots\/\d+): file exists/;
const TRIES = 20;

/**
 * Runs a call that makes a snapshot. A containerd that was killed just before it noted a new snapshot has its folder already; the next one
 * gives the same number out again and finds it taken, for ever. As it does so in the one write that it allows at a time, nobody has the
 * folder: it is removed, and the call made again.
 * @param root containerd's; nothing outside is touched.
 */
export async function removingHalfMadeSnapshots<T>(root: string, call: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left--) {
    try {
      return await call();
    } catch (error) {
      const [, folder] = (error instanceof RpcError ? REFUSED.exec(error.message) : null) ?? [];
      if (folder === undefined || !folder.startsWith(`${root}/`) || left === 0) throw error;
      await rm(folder, { recursive: true, force: true });
    }
  }
}
