import type {
  Failure,
  GetTaskProtectionRequest,
  GetTaskProtectionResponse,
  ProtectedTask,
  UpdateTaskProtectionRequest,
  UpdateTaskProtectionResponse,
} from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, atMost } from "../lookups.ts";
import { taskArn, taskIdOf } from "../names.ts";
import { desiredStatusOf, type ObservedTask } from "../observed-task.ts";
import { taskKey, type TaskRecord, tasks } from "../records.ts";
import type { Room } from "../room.ts";
import { dateMember } from "../time.ts";

const DEFAULT_MINUTES = 120;

/** The scale-in protection of service tasks. @throws ClusterNotFoundException */
export function getTaskProtection(room: Room): Operation<GetTaskProtectionRequest, GetTaskProtectionResponse> {
  return {
    name: "GetTaskProtection",
    members: { cluster: "used", tasks: "used" },
    async handle(input, context) {
      atMost("tasks", input.tasks, 100);
      const { valid, failures } = await serviceTasks(room, input, context);
      return { protectedTasks: valid.map((task) => protectionView(task.record, context.nowMs)), failures };
    },
  };
}

/** Protects service tasks against scale-in and deployments, or ends that; a new call sets a new end. @throws ClusterNotFoundException, InvalidParameterException */
export function updateTaskProtection(room: Room): Operation<UpdateTaskProtectionRequest, UpdateTaskProtectionResponse> {
  return {
    name: "UpdateTaskProtection",
    members: { cluster: "used", tasks: "used", protectionEnabled: "used", expiresInMinutes: "used" },
    async handle(input, context) {
      atMost("tasks", input.tasks, 10);
      const minutes = input.expiresInMinutes ?? DEFAULT_MINUTES;
      if (minutes < 1 || minutes > 2880) throw invalidParameter("expiresInMinutes must be between 1 and 2880.");
      const { valid, failures } = await serviceTasks(room, input, context);
      const protectedTasks: ProtectedTask[] = [];
      const expiresAtMs = input.protectionEnabled === true ? context.nowMs + minutes * 60_000 : undefined;
      for (const task of valid) protectedTasks.push(protectionView(await protect(room, task, expiresAtMs), context.nowMs));
      return { protectedTasks, failures };
    },
  };
}

async function protect(room: Room, found: ObservedTask, expiresAtMs: number | undefined): Promise<TaskRecord> {
  for (let task = found; ; task = room.tasks.get(found.key) ?? task) {
    const { protection: _before, ...rest } = task.record;
    const value: TaskRecord = expiresAtMs === undefined ? rest : { ...rest, protection: { expiresAtMs } };
    try {
      await room.store.transact([{ op: "update", collection: tasks, key: task.key, value, ifRevision: task.revision }]);
      return value;
    } catch (error) {
      // A controller wrote in between: change what is there now.
      if (!isProblem(error, "conflict")) throw error;
    }
  }
}

function protectionView(record: TaskRecord, nowMs: number): ProtectedTask {
  const expiresAtMs = record.protection?.expiresAtMs ?? 0;
  const on = expiresAtMs > nowMs;
  return {
    taskArn: taskArn(record, record.cluster, record.taskId),
    protectionEnabled: on,
    ...dateMember("expirationDate", on ? expiresAtMs : undefined),
  };
}

async function serviceTasks(
  room: Room,
  input: GetTaskProtectionRequest,
  context: RequestContext,
): Promise<{ readonly valid: readonly ObservedTask[]; readonly failures: Failure[] }> {
  const cluster = (await activeCluster(room, context, input.cluster)).value;
  await room.tasks.ready();
  const valid: ObservedTask[] = [];
  const failures: Failure[] = [];
  for (const id of new Set((input.tasks ?? []).map((reference) => taskIdOf(reference, { scope: context, cluster: cluster.name })))) {
    const task = room.tasks.get(taskKey(context, cluster.name, id));
    const arn = taskArn(context, cluster.name, id);
    if (task === undefined) failures.push({ arn, reason: "MISSING" });
    else if (task.record.service === undefined || desiredStatusOf(task) === "STOPPED") failures.push({ arn, reason: "TASK_NOT_VALID" });
    else valid.push(task);
  }
  return { valid, failures };
}
