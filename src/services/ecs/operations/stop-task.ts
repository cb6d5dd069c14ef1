import type { StopTaskRequest, StopTaskResponse } from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { taskNotFound } from "../errors.ts";
import { activeCluster } from "../lookups.ts";
import { clusterInArn, taskIdOf } from "../names.ts";
import { desiredStatusOf } from "../observed-task.ts";
import { taskKey } from "../records.ts";
import { requestStop } from "../request-stop.ts";
import type { Room } from "../room.ts";

/** Asks a task to end and answers at once; idempotent. @throws ClusterNotFoundException, InvalidParameterException "The referenced task was not found." */
export function stopTask(room: Room): Operation<StopTaskRequest, StopTaskResponse> {
  return {
    name: "StopTask",
    members: { cluster: "used", task: "used", reason: "used" },
    async handle(input, context) {
      const reference = input.task ?? "";
      const cluster = await activeCluster(room, context, input.cluster ?? clusterInArn(reference));
      await room.tasks.ready();
      const key = taskKey(context, cluster.value.name, taskIdOf(reference, { scope: context, cluster: cluster.value.name }));
      const task = room.tasks.get(key);
      if (task === undefined) throw taskNotFound();
      if (desiredStatusOf(task) === "RUNNING")
        await requestStop(room, key, { code: "UserInitiated", reason: input.reason || "Task stopped by user" });
      const stopped = room.tasks.get(key) ?? task;
      return { task: { ...room.tasks.viewOf(stopped), tags: [] } };
    },
  };
}
