import type { StopReason } from "../../contracts/engine.ts";
import { isProblem } from "../../core/problem.ts";
import { tasks } from "./records.ts";
import type { Room } from "./room.ts";

/**
 * Asks a task to end: the only place where its desiredStatus changes. The first caller's reason stays; later calls, and calls for a task
 * that is gone, do nothing. The task controller carries it out.
 */
export async function requestStop(room: Pick<Room, "store" | "clock">, key: string, reason: StopReason): Promise<void> {
  for (;;) {
    const stored = await room.store.get(tasks, key);
    if (stored === undefined || stored.value.desiredStatus === "STOPPED") return;
    const value = {
      ...stored.value,
      desiredStatus: "STOPPED" as const,
      stop: { code: reason.code, reason: reason.reason, atMs: room.clock.nowMs() },
    };
    try {
      await room.store.transact([{ op: "update", collection: tasks, key, value, ifRevision: stored.revision }]);
      return;
    } catch (error) {
      if (!isProblem(error, "conflict", "not-found")) throw error;
    }
  }
}
