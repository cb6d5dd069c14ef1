import type { Deployment, Service } from "@aws-sdk/client-ecs";
import { formatArn } from "../../core/arn.ts";
import { clusterArn, serviceArn, serviceDeploymentArn, serviceRevisionArn, taskDefinitionArn } from "./names.ts";
import { networkView } from "./network-rules.ts";
import { lastStatusOf, type ObservedTask } from "./observed-task.ts";
import type { DeploymentRecord, ServiceRecord } from "./records.ts";
import { dateOf } from "./time.ts";

interface Counts {
  readonly running: number;
  readonly pending: number;
}

/** Tasks by where they are; those that drain their connections still run. */
export function countTasks(tasks: readonly ObservedTask[]): Counts {
  let running = 0;
  let pending = 0;
  for (const task of tasks) {
    const status = lastStatusOf(task);
    if (status === "RUNNING" || status === "DEACTIVATING") running++;
    else if (status === "PROVISIONING" || status === "PENDING" || status === "ACTIVATING") pending++;
  }
  return { running, pending };
}

/** How many tasks a deployment is to have: all for the newest, what is left for those on their way out. */
export function desiredCountOf(service: ServiceRecord, deployment: DeploymentRecord, counts: Counts): number {
  return deployment.status === "PRIMARY" ? service.desiredCount : Math.min(service.desiredCount, counts.running + counts.pending);
}

/** The API's shape of a service, without tags. `tasks` are all that belong to it. */
export function serviceView(service: ServiceRecord, tasks: readonly ObservedTask[]): Service {
  const counts = countTasks(tasks);
  const [first] = service.deployments;
  const primary = service.deployments.find((deployment) => deployment.status === "PRIMARY") ?? first ?? service.lastCompleted;
  const revision = primary?.revision;
  const byDeployment = (id: string): readonly ObservedTask[] => tasks.filter((task) => task.record.service?.deploymentId === id);
  return {
    serviceArn: serviceArn(service, service.cluster, service.name),
    serviceName: service.name,
    clusterArn: clusterArn(service, service.cluster),
    loadBalancers: [...(revision?.loadBalancers ?? [])],
    serviceRegistries: [],
    status: service.status,
    desiredCount: service.desiredCount,
    runningCount: counts.running,
    pendingCount: counts.pending,
    ...(revision === undefined ? {} : { ...launchView(revision), platformVersion: revision.platformVersion }),
    platformFamily: "Linux",
    ...(revision === undefined ? {} : { taskDefinition: taskDefinitionArn(service, revision.family, revision.taskDefinitionRevision) }),
    deploymentConfiguration: {
      deploymentCircuitBreaker: { ...service.circuitBreaker },
      maximumPercent: service.maximumPercent,
      minimumHealthyPercent: service.minimumHealthyPercent,
      strategy: "ROLLING",
      bakeTimeInMinutes: 0,
    },
    deployments: service.deployments.map((deployment) => deploymentView(service, deployment, byDeployment(deployment.id))),
    roleArn: formatArn({
      service: "iam",
      region: "",
      account: service.account,
      resource: "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
    }),
    events: service.events.map((event) => ({ id: event.id, createdAt: dateOf(event.createdAtMs), message: event.message })),
    createdAt: dateOf(service.createdAtMs),
    ...currentView(service, tasks),
    placementConstraints: [],
    placementStrategy: [],
    ...(revision === undefined ? {} : { networkConfiguration: networkView(revision) }),
    ...((revision?.loadBalancers.length ?? 0) > 0 ? { healthCheckGracePeriodSeconds: service.healthCheckGracePeriodSeconds } : {}),
    schedulingStrategy: "REPLICA",
    deploymentController: { type: "ECS" },
    createdBy: service.createdBy,
    enableECSManagedTags: service.enableECSManagedTags,
    propagateTags: service.propagateTags,
    enableExecuteCommand: false,
    availabilityZoneRebalancing: service.availabilityZoneRebalancing,
    resourceManagementType: "CUSTOMER",
  };
}

/** Either the strategy or the launch type, never both. */
export function launchView(revision: DeploymentRecord["revision"]): Pick<Service, "launchType" | "capacityProviderStrategy"> {
  return revision.capacityProviderStrategy.length > 0
    ? { capacityProviderStrategy: [...revision.capacityProviderStrategy] }
    : { launchType: revision.launchType ?? "FARGATE" };
}

function currentView(service: ServiceRecord, tasks: readonly ObservedTask[]): Pick<Service, "currentServiceDeployment" | "currentServiceRevisions"> {
  const [newest] = service.deployments;
  if (newest === undefined) return {};
  return {
    currentServiceDeployment: serviceDeploymentArn(service, service.cluster, service.name, newest.serviceDeploymentId),
    currentServiceRevisions: service.deployments.map((deployment) => {
      const counts = countTasks(tasks.filter((task) => task.record.service?.deploymentId === deployment.id));
      return {
        arn: serviceRevisionArn(service, service.cluster, service.name, deployment.revision.id),
        requestedTaskCount: desiredCountOf(service, deployment, counts),
        runningTaskCount: counts.running,
        pendingTaskCount: counts.pending,
      };
    }),
  };
}

function deploymentView(service: ServiceRecord, deployment: DeploymentRecord, tasks: readonly ObservedTask[]): Deployment {
  const counts = countTasks(tasks);
  const { revision } = deployment;
  return {
    id: deployment.id,
    status: deployment.status,
    taskDefinition: taskDefinitionArn(service, revision.family, revision.taskDefinitionRevision),
    desiredCount: desiredCountOf(service, deployment, counts),
    pendingCount: counts.pending,
    runningCount: counts.running,
    failedTasks: Math.max(deployment.failedTasks, deployment.healthFailures),
    createdAt: dateOf(deployment.createdAtMs),
    updatedAt: dateOf(deployment.updatedAtMs),
    ...launchView(revision),
    // The concrete version, also where the service says LATEST.
    platformVersion: "1.4.0",
    platformFamily: "Linux",
    networkConfiguration: networkView(revision),
    rolloutState: deployment.rolloutState,
    rolloutStateReason: deployment.rolloutStateReason,
  };
}
