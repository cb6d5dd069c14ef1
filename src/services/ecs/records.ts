import type {
  CapacityProviderStrategyItem,
  ContainerDefinition,
  LoadBalancer,
  RegisterTaskDefinitionRequest,
  TaskOverride,
} from "@aws-sdk/client-ecs";
import type { StopReason } from "../../contracts/engine.ts";
import { collection } from "../../contracts/store.ts";
import { type Scope, scopedKey } from "../../core/scope.ts";

/** What is stored, and its keys. All times are ms since the epoch. Lists from the API are kept in the API's own shape (it is plain JSON). */

export interface TagRecord {
  readonly key: string;
  readonly value: string;
}

export interface ClusterRecord extends Scope {
  readonly name: string;
  readonly status: "ACTIVE" | "INACTIVE";
  readonly createdAtMs: number;
  readonly inactiveAtMs?: number;
  readonly tags: readonly TagRecord[];
  readonly containerInsights: string;
  readonly capacityProviders: readonly string[];
  readonly defaultCapacityProviderStrategy: readonly CapacityProviderStrategyItem[];
}

export interface TaskDefinitionRecord extends Scope {
  readonly family: string;
  readonly revision: number;
  readonly status: "ACTIVE" | "INACTIVE" | "DELETE_IN_PROGRESS";
  /** The request with the defaults filled in; `cpu` and `memory` as integer strings of CPU units and MiB. */
  readonly definition: Omit<RegisterTaskDefinitionRequest, "tags" | "containerDefinitions"> & {
    readonly cpu: string;
    readonly memory: string;
    readonly containerDefinitions: readonly ContainerDefinition[];
  };
  readonly registeredAtMs: number;
  readonly registeredBy: string;
  readonly deregisteredAtMs?: number;
  readonly deleteRequestedAtMs?: number;
  readonly tags: readonly TagRecord[];
}

/** Keeps a family's last revision number, also when all its revisions are deleted. */
export interface FamilyRecord extends Scope {
  readonly family: string;
  readonly lastRevision: number;
}

export interface TaskContainerRecord {
  readonly name: string;
  /** UUID at the end of its containerArn. */
  readonly arnId: string;
  readonly image: string;
  /** `sha256:…` when the deployment has pinned the tag. */
  readonly imageDigest?: string;
  /** After overrides. */
  readonly cpuUnits: number;
  readonly memoryMiB?: number;
  readonly memoryReservationMiB?: number;
  readonly essential: boolean;
  readonly hasHealthCheck: boolean;
}

export interface TaskNetworkRecord {
  readonly attachmentId: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly securityGroupIds: readonly string[];
  readonly assignPublicIp: boolean;
}

/**
 * Desired state of a task. What it does (`lastStatus`, times, containers, address) is the compute layer's alone and is joined in by the
 * views. `desiredStatus` and `stop` change only through `requestStop`.
 */
export interface TaskRecord extends Scope {
  readonly taskId: string;
  readonly cluster: string;
  readonly family: string;
  readonly revision: number;
  readonly group: string;
  readonly startedBy?: string;
  readonly capacityProviderName?: string;
  readonly platformVersion: string;
  /** Of the task, after overrides. */
  readonly cpuUnits: number;
  readonly memoryMiB: number;
  readonly ephemeralStorageGiB: number;
  readonly createdAtMs: number;
  readonly desiredStatus: "RUNNING" | "STOPPED";
  readonly stop?: StopReason & { readonly atMs: number };
  /** Set when it ended without the compute layer ever having had it. */
  readonly endedAtMs?: number;
  readonly overrides: TaskOverride;
  readonly network: TaskNetworkRecord;
  readonly containers: readonly TaskContainerRecord[];
  readonly service?: TaskServiceRecord;
  readonly loadBalancers: readonly LoadBalancer[];
  readonly tags: readonly TagRecord[];
  readonly protection?: { readonly expiresAtMs: number };
}

/** A task's part in a service. The service controller alone writes it. */
export interface TaskServiceRecord {
  readonly name: string;
  readonly deploymentId: string;
  /** Its end has been taken into the deployment's counts. */
  readonly settled?: boolean;
  /** Its registration has been told in the service's events. */
  readonly announced?: boolean;
}

export interface ServiceEventRecord {
  readonly id: string;
  readonly createdAtMs: number;
  readonly message: string;
}

/** A service revision being rolled out, running, or on its way out. */
export interface DeploymentRecord {
  /** `ecs-svc/<19 digits>`. */
  readonly id: string;
  readonly status: "PRIMARY" | "ACTIVE" | "INACTIVE";
  readonly revision: ServiceRevisionRecord;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly rolloutState: "IN_PROGRESS" | "COMPLETED" | "FAILED";
  readonly rolloutStateReason: string;
  /** Consecutive tasks that ended without reaching RUNNING. */
  readonly failedTasks: number;
  readonly lastFailureAtMs?: number;
  /** Tasks that were replaced because a health check failed, since the deployment began. */
  readonly healthFailures: number;
  readonly reachedRunning: boolean;
  /** Back-off of starts after failed ones. */
  readonly throttle?: { readonly attempts: number; readonly notBeforeMs: number };
  /** Id in the service deployment's ARN. */
  readonly serviceDeploymentId: string;
}

/** All that a task of one deployment is made from. Immutable but for the digests, which the first start pins. */
export interface ServiceRevisionRecord {
  /** 19 digits, the end of its ARN. */
  readonly id: string;
  readonly family: string;
  readonly taskDefinitionRevision: number;
  readonly platformVersion: string;
  readonly launchType?: "FARGATE";
  readonly capacityProviderStrategy: readonly CapacityProviderStrategyItem[];
  readonly subnets: readonly ServiceSubnetRecord[];
  readonly vpcId: string;
  readonly securityGroupIds: readonly string[];
  /** As the caller gave them; empty means the VPC's default group is used. */
  readonly requestedSecurityGroupIds: readonly string[];
  readonly assignPublicIp: boolean;
  readonly loadBalancers: readonly LoadBalancer[];
  /** Container name to manifest digest; absent until the first start has asked. */
  readonly imageDigests?: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
}

export interface ServiceSubnetRecord {
  readonly subnetId: string;
  readonly availabilityZone: string;
}

export interface ServiceRecord extends Scope {
  readonly cluster: string;
  readonly name: string;
  readonly status: "ACTIVE" | "DRAINING" | "INACTIVE";
  readonly desiredCount: number;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly inactiveAtMs?: number;
  readonly maximumPercent: number;
  readonly minimumHealthyPercent: number;
  readonly circuitBreaker: { readonly enable: boolean; readonly rollback: boolean };
  readonly availabilityZoneRebalancing: "ENABLED" | "DISABLED";
  readonly healthCheckGracePeriodSeconds: number;
  readonly propagateTags: "TASK_DEFINITION" | "SERVICE" | "NONE";
  readonly enableECSManagedTags: boolean;
  readonly tags: readonly TagRecord[];
  /** Newest first; the first is PRIMARY while the service is ACTIVE. */
  readonly deployments: readonly DeploymentRecord[];
  /** What a failed deployment rolls back to. */
  readonly lastCompleted?: DeploymentRecord;
  /** Newest first, at most 100. */
  readonly events: readonly ServiceEventRecord[];
  /** Causes that have been told in an event and still hold, with the time of telling. */
  readonly standing: Readonly<Record<string, number>>;
  /** The request that made it, for idempotent CreateService. */
  readonly requestHash: string;
}

/** A deployment in the history of its service; stays when the service is done with it. */
export interface ServiceDeploymentRecord extends Scope {
  readonly cluster: string;
  readonly service: string;
  /** As it was when it last changed. */
  readonly deployment: DeploymentRecord;
  /** Revisions that had tasks when it began. */
  readonly sourceRevisionIds: readonly string[];
  /** What held when it began. */
  readonly maximumPercent: number;
  readonly minimumHealthyPercent: number;
  readonly circuitBreaker: ServiceRecord["circuitBreaker"];
  readonly finishedAtMs?: number;
  readonly rollback?: { readonly revisionId: string; readonly startedAtMs: number; readonly reason: string };
}

/** After that a RunTask clientToken is free again. */
export const RUN_TASK_TOKEN_LIFE_MS = 24 * 60 * 60 * 1000;

/** Ties a RunTask clientToken to the tasks it made. */
export interface RunTaskTokenRecord {
  readonly requestHash: string;
  readonly taskIds: readonly string[];
  readonly createdAtMs: number;
}

export const clusters = collection<ClusterRecord>("ecs.cluster");
export const taskDefinitions = collection<TaskDefinitionRecord>("ecs.task-definition");
export const families = collection<FamilyRecord>("ecs.family");
export const tasks = collection<TaskRecord>("ecs.task");
export const services = collection<ServiceRecord>("ecs.service");
export const serviceDeployments = collection<ServiceDeploymentRecord>("ecs.service-deployment");
export const runTaskTokens = collection<RunTaskTokenRecord>("ecs.run-task-token");

export function clusterKey(scope: Scope, name: string): string {
  return scopedKey(scope, name);
}

/** Revisions sort as numbers because they are padded. */
export function taskDefinitionKey(scope: Scope, family: string, revision: number): string {
  return scopedKey(scope, family, String(revision).padStart(7, "0"));
}

export function familyKey(scope: Scope, family: string): string {
  return scopedKey(scope, family);
}

export function taskKey(scope: Scope, cluster: string, taskId: string): string {
  return scopedKey(scope, cluster, taskId);
}

export function serviceKey(scope: Scope, cluster: string, name: string): string {
  return scopedKey(scope, cluster, name);
}

/** Beneath its service's key. */
export function serviceDeploymentKey(scope: Scope, cluster: string, service: string, serviceDeploymentId: string): string {
  return scopedKey(scope, cluster, service, serviceDeploymentId);
}

export function runTaskTokenKey(scope: Scope, cluster: string, token: string): string {
  return scopedKey(scope, cluster, token);
}
