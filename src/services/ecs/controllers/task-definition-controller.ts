import type { Controller } from "../../../contracts/controller.ts";
import { scopePrefix } from "../../../core/scope.ts";
import { type ServiceRecord, services, type TaskDefinitionRecord, taskDefinitionKey, taskDefinitions, tasks } from "../records.ts";
import type { Room } from "../room.ts";

/** Removes revisions in DELETE_IN_PROGRESS once no task and no service uses them. */
export function createTaskDefinitionController(room: Room): Controller {
  return {
    name: "ecs-task-definition",
    watches: [
      { collection: taskDefinitions, keysOf: (change) => (change.value?.status === "DELETE_IN_PROGRESS" ? [change.key] : []) },
      {
        collection: tasks,
        keysOf: ({ value, previous }) =>
          value === undefined && previous !== undefined ? [taskDefinitionKey(previous, previous.family, previous.revision)] : [],
      },
      { collection: services, keysOf: ({ previous }) => (previous === undefined ? [] : usedBy(previous)) },
    ],
    initialKeys: async () =>
      (await room.store.list(taskDefinitions)).filter((each) => each.value.status === "DELETE_IN_PROGRESS").map((each) => each.key),
    async reconcile(key) {
      const stored = await room.store.get(taskDefinitions, key);
      if (stored?.value.status !== "DELETE_IN_PROGRESS" || (await isUsed(room, stored.value))) return;
      await room.store.transact([{ op: "delete", collection: taskDefinitions, key, ifRevision: stored.revision }]);
    },
  };
}

function usedBy(service: ServiceRecord): readonly string[] {
  const deployments = [
    ...service.deployments,
    ...(service.lastCompleted === undefined || service.status !== "ACTIVE" ? [] : [service.lastCompleted]),
  ];
  return deployments.map(({ revision }) => taskDefinitionKey(service, revision.family, revision.taskDefinitionRevision));
}

async function isUsed(room: Room, record: TaskDefinitionRecord): Promise<boolean> {
  await room.tasks.ready();
  const key = taskDefinitionKey(record, record.family, record.revision);
  if (room.tasks.all().some(({ record: task }) => taskDefinitionKey(task, task.family, task.revision) === key)) return true;
  return (await room.store.list(services, { prefix: scopePrefix(record) })).some((service) => usedBy(service.value).includes(key));
}
