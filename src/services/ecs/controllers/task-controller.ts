import type { Controller, ReconcileResult } from "../../../contracts/controller.ts";
import type { StopReason } from "../../../contracts/engine.ts";
import { isProblem } from "../../../core/problem.ts";
import { type TaskRecord, tasks } from "../records.ts";
import type { Room } from "../room.ts";
import { type ObservedTask, stoppedAtOf, taskKeyOfWorkload } from "../observed-task.ts";

const ORPHANED: StopReason = { code: "ServiceSchedulerInitiated", reason: "The task's record is gone" };

/**
 * Carries tasks to the compute layer: starts what has no workload, stops what is asked to stop, forgets what has been STOPPED for an hour,
 * and sweeps workloads that no record knows.
 */
export function createTaskController(room: Room): Controller {
  return {
    name: "ecs-task",
    watches: [{ collection: tasks, keysOf: (change) => [change.key] }],
    sources: (wake) => room.tasks.onStatus(wake),
    async initialKeys() {
      await room.tasks.ready();
      const workloads = await room.engine.list({ labels: { owner: "ecs" } });
      const orphans = workloads.flatMap((view) => taskKeyOfWorkload(view) ?? []);
      return [...new Set([...room.tasks.all().map((task) => task.key), ...orphans])];
    },
    async reconcile(key) {
      await room.tasks.ready();
      const task = room.tasks.get(key);
      return task === undefined ? sweep(room, key) : step(room, task);
    },
    concurrency: 16,
  };
}

async function step(room: Room, task: ObservedTask): Promise<ReconcileResult | void> {
  const { key, record } = task;
  const status = (await room.engine.get(record.taskId))?.status;
  if (status === undefined) {
    if (record.endedAtMs !== undefined) return expire(room, task);
    if (record.desiredStatus === "RUNNING") await room.launcher.launch(key);
    else await end(room, task);
    return undefined;
  }
  if (status.state === "STOPPED") return expire(room, { ...task, status });
  if (record.desiredStatus === "STOPPED" && status.desired === "RUNNING" && record.stop !== undefined) {
    await stopWorkload(room, record.taskId, { code: record.stop.code, reason: record.stop.reason });
  }
}

/** It was asked to stop before the compute layer had it: it has ended. */
async function end(room: Room, { key, record, revision }: ObservedTask): Promise<void> {
  const value: TaskRecord = { ...record, endedAtMs: room.clock.nowMs() };
  await room.store.transact([{ op: "update", collection: tasks, key, value, ifRevision: revision }]);
}

/** The record goes first: a workload without one is swept, a record without a workload would be started. */
async function expire(room: Room, task: ObservedTask): Promise<ReconcileResult | void> {
  const leftMs = (stoppedAtOf(task) ?? room.clock.nowMs()) + room.keepStoppedMs - room.clock.nowMs();
  if (leftMs > 0) return { requeueAfterMs: leftMs };
  await room.store.transact([{ op: "delete", collection: tasks, key: task.key }]);
  await room.engine.destroy(task.record.taskId);
  room.tasks.forget(task.key);
}

async function sweep(room: Room, key: string): Promise<void> {
  const id = key.slice(key.lastIndexOf("/") + 1);
  const view = await room.engine.get(id);
  if (view === undefined || taskKeyOfWorkload(view) !== key) return;
  if (view.status.state !== "STOPPED") return stopWorkload(room, id, ORPHANED);
  await room.engine.destroy(id);
  room.tasks.forget(key);
}

async function stopWorkload(room: Room, id: string, reason: StopReason): Promise<void> {
  try {
    await room.engine.stop(id, reason);
  } catch (error) {
    if (!isProblem(error, "not-found")) throw error;
  }
}
