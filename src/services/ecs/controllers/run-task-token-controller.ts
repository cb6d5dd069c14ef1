import type { Controller } from "../../../contracts/controller.ts";
import { RUN_TASK_TOKEN_LIFE_MS, runTaskTokens } from "../records.ts";
import type { Room } from "../room.ts";

/** Forgets RunTask's clientTokens once they are free again: clients send one with every call. */
export function createRunTaskTokenController(room: Room): Controller {
  return {
    name: "ecs-run-task-token",
    watches: [{ collection: runTaskTokens, keysOf: (change) => (change.value === undefined ? [] : [change.key]) }],
    initialKeys: async () => (await room.store.list(runTaskTokens)).map(({ key }) => key),
    async reconcile(key) {
      const stored = await room.store.get(runTaskTokens, key);
      if (stored === undefined) return undefined;
      const leftMs = stored.value.createdAtMs + RUN_TASK_TOKEN_LIFE_MS - room.clock.nowMs();
      if (leftMs >= 0) return { requeueAfterMs: leftMs + 1 };
      await room.store.transact([{ op: "delete", collection: runTaskTokens, key, ifRevision: stored.revision }]);
      return undefined;
    },
  };
}
