import type { Stored } from "../../contracts/store.ts";
import { AwsError } from "../../core/aws-error.ts";
import type { Scope } from "../../core/scope.ts";
import { clientError, clusterNotFound, invalidParameter, serviceNotFound, taskDefinitionNotFound } from "./errors.ts";
import { clusterNameOf, parseTaskDefinition, serviceNameOf } from "./names.ts";
import {
  type ClusterRecord,
  clusterKey,
  clusters,
  type ServiceRecord,
  serviceKey,
  services,
  type TaskDefinitionRecord,
  taskDefinitionKey,
  taskDefinitions,
  familyKey,
  families,
} from "./records.ts";
import type { Room } from "./room.ts";

/** An ACTIVE cluster by name or ARN, `default` when left out. @throws ClusterNotFoundException */
export async function activeCluster(room: Room, scope: Scope, reference: string | undefined): Promise<Stored<ClusterRecord>> {
  const stored = await room.store.get(clusters, clusterKey(scope, clusterNameOf(reference, scope)));
  if (stored === undefined || stored.value.status !== "ACTIVE") throw clusterNotFound();
  return stored;
}

/** A service in any status. @throws ServiceNotFoundException */
export async function findService(
  room: Room,
  scope: Scope,
  reference: { readonly cluster: string; readonly service: string },
): Promise<Stored<ServiceRecord>> {
  const stored = await room.store.get(
    services,
    serviceKey(scope, reference.cluster, serviceNameOf(reference.service, { scope, cluster: reference.cluster })),
  );
  if (stored === undefined) throw serviceNotFound();
  return stored;
}

/** A revision in any status; without a revision the family's latest ACTIVE one. @throws ClientException "Unable to describe task definition." */
export async function findTaskDefinition(room: Room, scope: Scope, reference: string): Promise<Stored<TaskDefinitionRecord>> {
  const { family, revision } = parseTaskDefinition(reference, scope);
  if (revision !== undefined) {
    const stored = await room.store.get(taskDefinitions, taskDefinitionKey(scope, family, revision));
    if (stored === undefined) throw taskDefinitionNotFound();
    return stored;
  }
  const last = await room.store.get(families, familyKey(scope, family));
  for (let number = last?.value.lastRevision ?? 0; number > 0; number--) {
    const stored = await room.store.get(taskDefinitions, taskDefinitionKey(scope, family, number));
    if (stored?.value.status === "ACTIVE") return stored;
  }
  throw taskDefinitionNotFound();
}

/** One that new tasks may be made of, whose roles exist. @throws ClientException */
export async function usableTaskDefinition(room: Room, scope: Scope, reference: string): Promise<Stored<TaskDefinitionRecord>> {
  const stored = await findTaskDefinition(room, scope, reference).catch((error: unknown) => {
    throw error instanceof AwsError ? clientError("TaskDefinition not found.") : error;
  });
  if (stored.value.status !== "ACTIVE") throw clientError("TaskDefinition is inactive");
  const { taskRoleArn, executionRoleArn } = stored.value.definition;
  await checkRoles(room, [taskRoleArn, executionRoleArn]);
  return stored;
}

/** @throws ClientException for a role that does not exist. */
export async function checkRoles(room: Room, roleArns: readonly (string | undefined)[]): Promise<void> {
  for (const roleArn of roleArns) {
    if (roleArn === undefined || roleArn === "" || (await room.ports.roles.exists(roleArn))) continue;
    throw clientError(
      `ECS was unable to assume the role '${roleArn}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.`,
    );
  }
}

/** @throws InvalidParameterException when there are more than `most`. */
export function atMost(name: string, items: readonly unknown[] | undefined, most: number): void {
  if ((items ?? []).length > most) throw invalidParameter(`${name} can have at most ${most} items.`);
}
