import { type Arn, formatArn, parseArn } from "../../core/arn.ts";
import type { Scope } from "../../core/scope.ts";
import { clientError, invalidParameter } from "./errors.ts";

/** Reads and writes ECS's names and ARNs. */

function ecsArn(scope: Scope, resource: string): string {
  return formatArn({ service: "ecs", region: scope.region, account: scope.account, resource });
}

export const clusterArn = (scope: Scope, name: string): string => ecsArn(scope, `cluster/${name}`);
export const taskArn = (scope: Scope, cluster: string, taskId: string): string => ecsArn(scope, `task/${cluster}/${taskId}`);
export const containerArn = (scope: Scope, cluster: string, taskId: string, id: string): string =>
  ecsArn(scope, `container/${cluster}/${taskId}/${id}`);
export const serviceArn = (scope: Scope, cluster: string, name: string): string => ecsArn(scope, `service/${cluster}/${name}`);
export const capacityProviderArn = (scope: Scope, name: string): string => ecsArn(scope, `capacity-provider/${name}`);
export const taskDefinitionArn = (scope: Scope, family: string, revision: number): string => ecsArn(scope, `task-definition/${family}:${revision}`);
export const serviceDeploymentArn = (scope: Scope, cluster: string, service: string, id: string): string =>
  ecsArn(scope, `service-deployment/${cluster}/${service}/${id}`);
export const serviceRevisionArn = (scope: Scope, cluster: string, service: string, id: string): string =>
  ecsArn(scope, `service-revision/${cluster}/${service}/${id}`);

const NAME = /^[A-Za-z0-9_-]{1,255}$/;

/** Whether `text` may name a cluster, service, family, container or volume. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Where a request acts: an ARN of elsewhere names nothing there, though a resource of its name may be there too. */
export function checkScope(arn: Arn, scope: Scope): void {
  if (arn.region !== scope.region) throw invalidParameter("Invalid Region in ARN");
  if (arn.account !== scope.account)
    throw invalidParameter(`Invalid identifier: Identifier is for ${arn.account}. Your accountId is ${scope.account}`);
}

/**
 * The resource's path after its type, e.g. `["default", "abc"]` of `…:task/default/abc`.
 * @throws InvalidParameterException for an ARN of something else, or of another region or account.
 */
function pathOf(reference: string, type: string, scope: Scope): readonly string[] | undefined {
  if (!reference.startsWith("arn:")) return undefined;
  const arn: Arn | undefined = parseArn(reference);
  const [kind, ...path] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || path.length === 0 || path.includes("")) throw invalidParameter(`Invalid identifier: ${reference}`);
  if (kind !== type) throw invalidParameter(`Invalid identifier: Identifier is for ${kind}. Expected ${type}.`);
  checkScope(arn, scope);
  return path;
}

/** The last part of an ARN that may name a cluster before it, which must be the request's. */
function nameInCluster(reference: string, type: string, within: { readonly scope: Scope; readonly cluster: string }): string {
  const path = pathOf(reference, type, within.scope);
  const [cluster] = path ?? [];
  if (path !== undefined && path.length > 1 && cluster !== within.cluster)
    throw invalidParameter(`Invalid identifier: Identifier is for cluster ${cluster}. Your cluster is ${within.cluster}`);
  return path?.at(-1) ?? reference;
}

/** A cluster's name from its name or ARN; `default` when left out. */
export function clusterNameOf(reference: string | undefined, scope: Scope): string {
  if (reference === undefined || reference === "") return "default";
  return pathOf(reference, "cluster", scope)?.join("/") ?? reference;
}

/** A task's id from its id or ARN. */
export function taskIdOf(reference: string, within: { readonly scope: Scope; readonly cluster: string }): string {
  return nameInCluster(reference, "task", within);
}

/** The cluster that a task's or service's long ARN names; `undefined` for an id. */
export function clusterInArn(reference: string): string | undefined {
  const path = parseArn(reference)?.resource.split("/") ?? [];
  return path.length >= 3 ? path[1] : undefined;
}

/** A service's name from its name or ARN. */
export function serviceNameOf(reference: string, within: { readonly scope: Scope; readonly cluster: string }): string {
  return nameInCluster(reference, "service", within);
}

/** What a service deployment's or service revision's ARN names. @throws InvalidParameterException */
export function partOfService(
  reference: string,
  type: "service-deployment" | "service-revision",
  scope: Scope,
): { readonly cluster: string; readonly service: string; readonly id: string } {
  const [cluster, service, id, ...more] = pathOf(reference, type, scope) ?? [];
  if (cluster === undefined || service === undefined || id === undefined || more.length > 0)
    throw invalidParameter(`Invalid identifier: ${reference}`);
  return { cluster, service, id };
}

export interface TaskDefinitionReference {
  readonly family: string;
  /** Left out: the latest ACTIVE one. */
  readonly revision?: number;
}

/** Reads `family`, `family:revision` or a full ARN. @throws ClientException when it is none of them. */
export function parseTaskDefinition(reference: string, scope: Scope): TaskDefinitionReference {
  const text = pathOf(reference, "task-definition", scope)?.join("/") ?? reference;
  const match = /^([A-Za-z0-9_-]{1,255})(?::(\d{1,9}))?$/.exec(text);
  if (match?.[1] === undefined) throw clientError(`Invalid task definition identifier: ${reference}`);
  return match[2] === undefined ? { family: match[1] } : { family: match[1], revision: Number(match[2]) };
}
