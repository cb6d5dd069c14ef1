import type { DeploymentConfiguration, LoadBalancer } from "@aws-sdk/client-ecs";
import type { MemberTreatment } from "../../contracts/service.ts";
import type { Scope } from "../../core/scope.ts";
import { isProblem } from "../../core/problem.ts";
import type { TargetGroupInfo } from "../../contracts/load-balancer.ts";
import { checkPlatformVersion, chooseLaunch } from "./capacity-rules.ts";
import { invalidParameter } from "./errors.ts";
import { resolveNetwork } from "./network-rules.ts";
import type { ClusterRecord, DeploymentRecord, ServiceRecord, ServiceRevisionRecord, TaskDefinitionRecord } from "./records.ts";
import type { Room } from "./room.ts";
import type { CreateServiceRequest } from "@aws-sdk/client-ecs";

/** Treatments that CreateService and UpdateService share. */
export const SERVICE_MEMBERS: Readonly<Record<string, MemberTreatment>> = {
  cluster: "used",
  taskDefinition: "used",
  availabilityZoneRebalancing: {
    ignored: "tasks are spread over the zones when they start and when the service scales in; the zones here share one host",
  },
  loadBalancers: "used",
  "loadBalancers.loadBalancerName": { refused: "Fargate has no Classic Load Balancers; name a target group." },
  "loadBalancers.advancedConfiguration": { refused: "blue/green deployments are not built yet." },
  serviceRegistries: { refused: "service discovery is not built yet.", unless: [[]] },
  desiredCount: "used",
  capacityProviderStrategy: "used",
  platformVersion: "used",
  deploymentConfiguration: "used",
  "deploymentConfiguration.alarms": {
    refused: "deployment alarms are not built yet.",
    unless: [
      { alarmNames: [], enable: false, rollback: false },
      { alarmNames: [], rollback: false, enable: false },
    ],
  },
  "deploymentConfiguration.strategy": { refused: "only rolling deployments are built yet.", unless: ["ROLLING"] },
  "deploymentConfiguration.bakeTimeInMinutes": { refused: "bake times are not built yet.", unless: [0] },
  "deploymentConfiguration.lifecycleHooks": { refused: "lifecycle hooks are not built yet.", unless: [[]] },
  "deploymentConfiguration.linearConfiguration": { refused: "linear deployments are not built yet." },
  "deploymentConfiguration.canaryConfiguration": { refused: "canary deployments are not built yet." },
  "deploymentConfiguration.earlySuccessCriteria": { refused: "early success criteria are not built yet." },
  placementConstraints: { refused: "Fargate has no placement constraints.", unless: [[]] },
  placementStrategy: { refused: "Fargate has no placement strategies.", unless: [[]] },
  networkConfiguration: "used",
  healthCheckGracePeriodSeconds: "used",
  deploymentController: "used",
  "deploymentController.type": { refused: "only the ECS deployment controller is built.", unless: ["ECS"] },
  enableECSManagedTags: "used",
  propagateTags: "used",
  enableExecuteCommand: { refused: "ECS Exec is not built yet.", unless: [false] },
  serviceConnectConfiguration: { refused: "Service Connect is not built yet.", unless: [{ enabled: false }] },
  volumeConfigurations: { refused: "EBS volumes are not built yet.", unless: [[]] },
  vpcLatticeConfigurations: { refused: "VPC Lattice is not built.", unless: [[]] },
};

export interface DeploymentSettings {
  readonly maximumPercent: number;
  readonly minimumHealthyPercent: number;
  readonly circuitBreaker: ServiceRecord["circuitBreaker"];
}

/** A request's deployment configuration over what holds. @throws InvalidParameterException */
export function readDeploymentConfiguration(given: DeploymentConfiguration | undefined, present: DeploymentSettings): DeploymentSettings {
  const settings = {
    maximumPercent: given?.maximumPercent ?? present.maximumPercent,
    minimumHealthyPercent: given?.minimumHealthyPercent ?? present.minimumHealthyPercent,
    circuitBreaker:
      given?.deploymentCircuitBreaker === undefined
        ? present.circuitBreaker
        : { enable: given.deploymentCircuitBreaker.enable ?? false, rollback: given.deploymentCircuitBreaker.rollback ?? false },
  };
  if (settings.minimumHealthyPercent < 0 || settings.maximumPercent < 0) throw invalidParameter("Deployment percentages must not be negative.");
  if (settings.maximumPercent < 100) throw invalidParameter("maximumPercent must be at least 100.");
  if (settings.minimumHealthyPercent > settings.maximumPercent) throw invalidParameter("minimumHealthyPercent must not exceed maximumPercent.");
  return settings;
}

export const DEFAULT_DEPLOYMENT: DeploymentSettings = {
  maximumPercent: 200,
  minimumHealthyPercent: 100,
  circuitBreaker: { enable: false, rollback: false },
};

/** @throws InvalidParameterException for a target group, container or port that tasks of this definition cannot be registered with. */
export async function checkLoadBalancers(
  room: Room,
  balancers: readonly LoadBalancer[],
  around: { readonly taskDefinition: TaskDefinitionRecord; readonly vpcId: string },
): Promise<readonly LoadBalancer[]> {
  if (balancers.length > 5) throw invalidParameter("load balancers can have at most 5 items.");
  for (const balancer of balancers) {
    const { targetGroupArn, containerName, containerPort } = balancer;
    if (!targetGroupArn) throw invalidParameter("targetGroupArn should not be null or empty.");
    const container = around.taskDefinition.definition.containerDefinitions.find((each) => each.name === containerName);
    if (container === undefined) throw invalidParameter(`The container ${containerName} does not exist in the task definition.`);
    if (!(container.portMappings ?? []).some((port) => port.containerPort === containerPort)) {
      throw invalidParameter(`The container ${containerName} did not have a container port ${containerPort} defined.`);
    }
    const group = await targetGroup(room, targetGroupArn);
    if (group.targetType !== "ip") {
      throw invalidParameter(
        `The provided target group ${targetGroupArn} has target type ${group.targetType}, which is incompatible with the awsvpc network mode specified in the task definition.`,
      );
    }
    if (group.vpcId !== around.vpcId)
      throw invalidParameter(`The target group ${targetGroupArn} is of VPC ${group.vpcId}, the subnets are of ${around.vpcId}.`);
    if (group.loadBalancerArns.length === 0) {
      throw invalidParameter(`The target group with targetGroupArn ${targetGroupArn} does not have an associated load balancer.`);
    }
  }
  return balancers.map(({ targetGroupArn, containerName, containerPort }) => ({ targetGroupArn, containerName, containerPort }));
}

async function targetGroup(room: Room, targetGroupArn: string): Promise<TargetGroupInfo> {
  try {
    return await room.ports.targets.describeTargetGroup(targetGroupArn);
  } catch (error) {
    if (isProblem(error, "not-found", "invalid")) throw invalidParameter(`The target group ${targetGroupArn} does not exist.`);
    throw error;
  }
}

/** What a new revision is made of: as in CreateService. */
export type RevisionRequest = Pick<
  CreateServiceRequest,
  "launchType" | "capacityProviderStrategy" | "platformVersion" | "networkConfiguration" | "loadBalancers"
>;

/** Checks and looks up all that tasks of a new revision are made from. */
export async function newRevision(
  room: Room,
  scope: Scope,
  around: { readonly request: RevisionRequest; readonly cluster: ClusterRecord; readonly taskDefinition: TaskDefinitionRecord },
): Promise<ServiceRevisionRecord> {
  const { request, cluster, taskDefinition } = around;
  checkPlatformVersion(request.platformVersion);
  const choice = chooseLaunch(request, cluster);
  const network = await resolveNetwork(room.ports.network, scope, request.networkConfiguration);
  return {
    id: room.ids.digits(19),
    family: taskDefinition.family,
    taskDefinitionRevision: taskDefinition.revision,
    platformVersion: request.platformVersion ?? "LATEST",
    ...(choice.launchType === undefined ? {} : { launchType: choice.launchType }),
    capacityProviderStrategy: choice.strategy,
    ...network,
    loadBalancers: await checkLoadBalancers(room, request.loadBalancers ?? [], { taskDefinition, vpcId: network.vpcId }),
    createdAtMs: room.clock.nowMs(),
  };
}

/** A deployment at its birth; its id ends as its revision's does, which Terraform's provider counts on. */
export function newDeployment(room: Room, revision: ServiceRevisionRecord): DeploymentRecord {
  const id = `ecs-svc/${revision.id}`;
  const nowMs = room.clock.nowMs();
  return {
    id,
    status: "PRIMARY",
    revision,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    rolloutState: "IN_PROGRESS",
    rolloutStateReason: `ECS deployment ${id} in progress.`,
    failedTasks: 0,
    healthFailures: 0,
    reachedRunning: false,
    serviceDeploymentId: room.ids.alphanumeric(21),
  };
}
