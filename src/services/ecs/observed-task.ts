import type { WorkloadState, WorkloadStatus, WorkloadView } from "../../contracts/engine.ts";
import { type TaskRecord, taskKey } from "./records.ts";

/** A task as desired, joined with what the compute layer says of it. */
export interface ObservedTask {
  readonly key: string;
  readonly record: TaskRecord;
  readonly revision: number;
  /** Absent until the compute layer has accepted it. */
  readonly status?: WorkloadStatus;
}

export function lastStatusOf(task: Pick<ObservedTask, "record" | "status">): WorkloadState {
  return task.status?.state ?? (task.record.endedAtMs === undefined ? "PROVISIONING" : "STOPPED");
}

/** STOPPED when we asked for it, and when it ended by itself. */
export function desiredStatusOf(task: Pick<ObservedTask, "record" | "status">): "RUNNING" | "STOPPED" {
  return task.record.desiredStatus === "STOPPED" || task.status?.desired === "STOPPED" || task.status?.state === "STOPPED" ? "STOPPED" : "RUNNING";
}

/** When it reached STOPPED, ms since the epoch. */
export function stoppedAtOf(task: Pick<ObservedTask, "record" | "status">): number | undefined {
  return task.status === undefined ? task.record.endedAtMs : task.status.stoppedAtMs;
}

/** The task that a workload belongs to; `undefined` when it is not of ECS. */
export function taskKeyOfWorkload({ workload }: WorkloadView): string | undefined {
  const { owner, cluster } = workload.labels;
  return owner === "ecs" && cluster !== undefined ? taskKey(workload, cluster, workload.id) : undefined;
}
