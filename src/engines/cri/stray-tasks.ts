import { constants } from "node:os";
import { isNotFound, RpcError } from "./grpc.ts";
import type { ContainerdClient } from "./grpc.ts";

const REFUSED = /cannot delete running task (\w+)/;
const KILL_WAIT_MS = 10_000;

/**
 * Runs a removal of CRI's. A start whose caller goes away at a bad moment leaves a task in containerd of which CRI does not know: CRI takes
 * the container for ended and then fails to remove it, or its sandbox, for ever. Such tasks are ended, and the removal is tried again.
 */
export async function endingStrayTasks(client: ContainerdClient, removal: () => Promise<unknown>): Promise<void> {
  const ended = new Set<string>();
  for (;;) {
    try {
      await removal();
      return;
    } catch (error) {
      const [, id] = (error instanceof RpcError ? REFUSED.exec(error.message) : null) ?? [];
      if (id === undefined || ended.has(id)) throw error;
      ended.add(id);
      await endTask(client, id);
    }
  }
}

/** One that is gone in the meantime is what was wanted. */
async function endTask(client: ContainerdClient, containerId: string): Promise<void> {
  const ignoringGone = (call: Promise<unknown>): Promise<unknown> =>
    call.catch((error: unknown) => {
      if (!isNotFound(error) && !(error instanceof RpcError && /process already finished/.test(error.message))) throw error;
    });
  await ignoringGone(client.killTask({ containerId, signal: constants.signals.SIGKILL, all: true }));
  await ignoringGone(client.waitTask({ containerId }, { deadlineMs: KILL_WAIT_MS }));
  await ignoringGone(client.deleteTask({ containerId }));
}
