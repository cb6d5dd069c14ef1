import type {
  DeleteTaskDefinitionsRequest,
  DeleteTaskDefinitionsResponse,
  DeregisterTaskDefinitionRequest,
  DeregisterTaskDefinitionResponse,
  Failure,
} from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { clientError } from "../errors.ts";
import { atMost, findTaskDefinition } from "../lookups.ts";
import { parseTaskDefinition, taskDefinitionArn } from "../names.ts";
import { type TaskDefinitionRecord, taskDefinitionKey, taskDefinitions } from "../records.ts";
import type { Room } from "../room.ts";
import { TASK_DEFINITION_TRANSITIONS, transition } from "../transitions.ts";
import { taskDefinitionView } from "../task-definition-view.ts";

/** Makes a revision INACTIVE: services go on with it, nothing new starts from it. Idempotent. @throws ClientException */
export function deregisterTaskDefinition(room: Room): Operation<DeregisterTaskDefinitionRequest, DeregisterTaskDefinitionResponse> {
  return {
    name: "DeregisterTaskDefinition",
    members: { taskDefinition: "used" },
    async handle(input, context) {
      const reference = input.taskDefinition ?? "";
      if (parseTaskDefinition(reference, context).revision === undefined) throw clientError("Task definition must have revision.");
      const stored = await findTaskDefinition(room, context, reference);
      if (stored.value.status !== "ACTIVE") return { taskDefinition: taskDefinitionView(stored.value) };
      const value: TaskDefinitionRecord = {
        ...stored.value,
        status: transition(TASK_DEFINITION_TRANSITIONS, stored.value.status, "INACTIVE"),
        deregisteredAtMs: context.nowMs,
      };
      await room.store.transact([{ op: "update", collection: taskDefinitions, key: stored.key, value, ifRevision: stored.revision }]);
      return { taskDefinition: taskDefinitionView(value) };
    },
  };
}

/** Marks INACTIVE revisions for deletion; each goes when no task and no service uses it. */
export function deleteTaskDefinitions(room: Room): Operation<DeleteTaskDefinitionsRequest, DeleteTaskDefinitionsResponse> {
  return {
    name: "DeleteTaskDefinitions",
    members: { taskDefinitions: "used" },
    async handle(input, context) {
      atMost("taskDefinitions", input.taskDefinitions, 10);
      const deleted: NonNullable<DeleteTaskDefinitionsResponse["taskDefinitions"]> = [];
      const failures: Failure[] = [];
      for (const reference of input.taskDefinitions ?? []) {
        const outcome = await markDeleted(room, context, reference);
        if ("detail" in outcome) failures.push(outcome);
        else deleted.push(taskDefinitionView(outcome));
      }
      return { taskDefinitions: deleted, failures };
    },
  };
}

async function markDeleted(room: Room, context: RequestContext, reference: string): Promise<TaskDefinitionRecord | (Failure & { detail: string })> {
  const failure = (arn: string, detail: string): Failure & { detail: string } => ({ arn, reason: "INVALID_ARGUMENT", detail });
  const { family, revision } = parseTaskDefinition(reference, context);
  if (revision === undefined)
    return failure(reference, "The specified task definition identifier is invalid. Specify a valid name or ARN and try again.");
  const arn = taskDefinitionArn(context, family, revision);
  const stored = await room.store.get(taskDefinitions, taskDefinitionKey(context, family, revision));
  if (stored === undefined) {
    return failure(arn, "The specified task definition does not exist. Specify a valid account, family, revision and try again.");
  }
  if (stored.value.status === "ACTIVE") {
    return failure(arn, "The specified task definition is still in ACTIVE status. Please deregister the target and try again.");
  }
  if (stored.value.status === "DELETE_IN_PROGRESS") return stored.value;
  const status = transition(TASK_DEFINITION_TRANSITIONS, stored.value.status, "DELETE_IN_PROGRESS");
  const value: TaskDefinitionRecord = { ...stored.value, status, deleteRequestedAtMs: context.nowMs };
  await room.store.transact([{ op: "update", collection: taskDefinitions, key: stored.key, value, ifRevision: stored.revision }]);
  return value;
}
