import type { DescribeTasksRequest, DescribeTasksResponse, Failure, ListTasksRequest, ListTasksResponse, Task } from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, atMost, findService } from "../lookups.ts";
import { taskArn, taskIdOf } from "../names.ts";
import { desiredStatusOf, type ObservedTask } from "../observed-task.ts";
import { pageOf } from "../paging.ts";
import { taskKey } from "../records.ts";
import type { Room } from "../room.ts";

/** Tasks by id or ARN, from memory. @throws ClusterNotFoundException, InvalidParameterException */
export function describeTasks(room: Room): Operation<DescribeTasksRequest, DescribeTasksResponse> {
  return {
    name: "DescribeTasks",
    members: { cluster: "used", tasks: "used", include: "used" },
    async handle(input, context) {
      if ((input.tasks ?? []).length === 0) throw invalidParameter("Tasks cannot be empty.");
      atMost("tasks", input.tasks, 100);
      const cluster = (await activeCluster(room, context, input.cluster)).value.name;
      await room.tasks.ready();
      const withTags = input.include?.includes("TAGS") === true;
      const found: Task[] = [];
      const failures: Failure[] = [];
      for (const id of new Set((input.tasks ?? []).map((reference) => taskIdOf(reference, { scope: context, cluster })))) {
        const task = room.tasks.get(taskKey(context, cluster, id));
        if (task === undefined) failures.push({ arn: taskArn(context, cluster, id), reason: "MISSING" });
        else found.push(withTags ? { ...room.tasks.viewOf(task), tags: [...task.record.tags] } : room.tasks.viewOf(task));
      }
      return { tasks: found, failures };
    },
  };
}

/** ARNs of a cluster's tasks, filtered. @throws ClusterNotFoundException, ServiceNotFoundException, InvalidParameterException */
export function listTasks(room: Room): Operation<ListTasksRequest, ListTasksResponse> {
  return {
    name: "ListTasks",
    members: {
      cluster: "used",
      containerInstance: { refused: "there are no container instances on Fargate." },
      family: "used",
      nextToken: "used",
      maxResults: "used",
      startedBy: "used",
      serviceName: "used",
      desiredStatus: "used",
      launchType: "used",
      daemonName: { refused: "daemons are not built." },
    },
    async handle(input, context) {
      if (input.startedBy !== undefined && (input.family !== undefined || input.serviceName !== undefined)) {
        throw invalidParameter("startedBy must be the only filter used.");
      }
      const found = (await candidates(room, input, context)).filter((task) => matches(task, input)).sort((a, b) => (a.key < b.key ? -1 : 1));
      const page = pageOf(found, input, { idOf: (task) => task.key, defaultSize: 100 });
      return {
        taskArns: page.items.map(({ record }) => taskArn(record, record.cluster, record.taskId)),
        ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
      };
    },
  };
}

async function candidates(room: Room, input: ListTasksRequest, context: RequestContext): Promise<readonly ObservedTask[]> {
  const cluster = await activeCluster(room, context, input.cluster);
  await room.tasks.ready();
  if (input.serviceName === undefined) return room.tasks.inCluster(cluster.key);
  return room.tasks.ofService((await findService(room, context, { cluster: cluster.value.name, service: input.serviceName })).key);
}

function matches(task: ObservedTask, input: ListTasksRequest): boolean {
  return (
    desiredStatusOf(task) === (input.desiredStatus ?? "RUNNING") &&
    (input.family === undefined || task.record.family === input.family) &&
    (input.startedBy === undefined || task.record.startedBy === input.startedBy) &&
    (input.launchType === undefined || input.launchType === "FARGATE")
  );
}
