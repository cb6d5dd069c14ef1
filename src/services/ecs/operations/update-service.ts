import type { UpdateServiceRequest, UpdateServiceResponse } from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { invalidParameter, serviceNotActive } from "../errors.ts";
import { activeCluster, findService, findTaskDefinition, usableTaskDefinition } from "../lookups.ts";
import { clusterInArn } from "../names.ts";
import { networkView } from "../network-rules.ts";
import { type ClusterRecord, type DeploymentRecord, type ServiceRecord, services } from "../records.ts";
import type { Room } from "../room.ts";
import { newDeployment, newRevision, readDeploymentConfiguration, SERVICE_MEMBERS } from "../service-rules.ts";
import { historyWrites } from "../service-deployments.ts";
import { serviceView } from "../service-view.ts";
import { DEPLOYMENT_TRANSITIONS, transition } from "../transitions.ts";

/**
 * Changes what a service is asked to be. A new task definition, network, platform version or load balancer, and `forceNewDeployment`, begin
 * a deployment; a new count or configuration does not.
 * @throws ClusterNotFoundException, ServiceNotFoundException, ServiceNotActiveException, ClientException, InvalidParameterException
 */
export function updateService(room: Room): Operation<UpdateServiceRequest, UpdateServiceResponse> {
  return {
    name: "UpdateService",
    members: { ...SERVICE_MEMBERS, service: "used", forceNewDeployment: "used" },
    async handle(input, context) {
      const reference = input.service ?? "";
      const cluster = await activeCluster(room, context, input.cluster ?? clusterInArn(reference));
      for (;;) {
        const stored = await findService(room, context, { cluster: cluster.value.name, service: reference });
        if (stored.value.status !== "ACTIVE") throw serviceNotActive();
        const value = await changed(room, { input, context, cluster: cluster.value, service: stored.value });
        try {
          const history = await historyWrites(room, stored.value, value);
          await room.store.transact([{ op: "update", collection: services, key: stored.key, value, ifRevision: stored.revision }, ...history]);
        } catch (error) {
          // Its controller wrote in between: change what is there now.
          if (isProblem(error, "conflict")) continue;
          throw error;
        }
        await room.tasks.ready();
        return { service: { ...serviceView(value, room.tasks.ofService(stored.key)), tags: [...value.tags] } };
      }
    },
  };
}

interface Change {
  readonly input: UpdateServiceRequest;
  readonly context: RequestContext;
  readonly cluster: ClusterRecord;
  readonly service: ServiceRecord;
}

async function changed(room: Room, change: Change): Promise<ServiceRecord> {
  const { input, service } = change;
  if (input.desiredCount !== undefined && (!Number.isInteger(input.desiredCount) || input.desiredCount < 0 || input.desiredCount > 5000)) {
    throw invalidParameter("desiredCount should be between 0 and 5000.");
  }
  const deployment = await nextDeployment(room, change);
  return {
    ...service,
    desiredCount: input.desiredCount ?? service.desiredCount,
    ...readDeploymentConfiguration(input.deploymentConfiguration, service),
    availabilityZoneRebalancing: input.availabilityZoneRebalancing ?? service.availabilityZoneRebalancing,
    healthCheckGracePeriodSeconds: input.healthCheckGracePeriodSeconds ?? service.healthCheckGracePeriodSeconds,
    propagateTags: input.propagateTags ?? service.propagateTags,
    enableECSManagedTags: input.enableECSManagedTags ?? service.enableECSManagedTags,
    ...(deployment === undefined ? {} : { deployments: [deployment, ...service.deployments.map(replaced)], standing: {} }),
    // The request that made it no longer describes it.
    requestHash: `${service.requestHash.split(":")[0]}:updated`,
  };
}

function replaced(deployment: DeploymentRecord): DeploymentRecord {
  return { ...deployment, status: transition(DEPLOYMENT_TRANSITIONS, deployment.status, "ACTIVE") };
}

/** The deployment that a request begins; `undefined` when it begins none. */
async function nextDeployment(room: Room, { input, context, cluster, service }: Change): Promise<DeploymentRecord | undefined> {
  const current = service.deployments.find((deployment) => deployment.status === "PRIMARY")?.revision;
  if (current === undefined) throw serviceNotActive();
  const begins =
    input.forceNewDeployment === true ||
    [input.networkConfiguration, input.loadBalancers, input.capacityProviderStrategy].some((member) => member !== undefined) ||
    (input.platformVersion !== undefined && input.platformVersion !== current.platformVersion) ||
    (input.taskDefinition !== undefined && (await isOther(room, { input, context, current })));
  if (!begins) return undefined;
  const named = input.taskDefinition;
  const stored =
    named === undefined
      ? await findTaskDefinition(room, context, `${current.family}:${current.taskDefinitionRevision}`)
      : await usableTaskDefinition(room, context, named);
  const strategy = input.capacityProviderStrategy ?? current.capacityProviderStrategy;
  const revision = await newRevision(room, context, {
    request: {
      // Empty means: by launch type.
      ...(strategy.length > 0 ? { capacityProviderStrategy: [...strategy] } : { launchType: "FARGATE" as const }),
      platformVersion: input.platformVersion ?? current.platformVersion,
      networkConfiguration: input.networkConfiguration ?? networkView(current),
      loadBalancers: input.loadBalancers ?? [...current.loadBalancers],
    },
    cluster,
    taskDefinition: stored.value,
  });
  return newDeployment(room, revision);
}

async function isOther(
  room: Room,
  { input, context, current }: Pick<Change, "input" | "context"> & { readonly current: DeploymentRecord["revision"] },
): Promise<boolean> {
  const { value } = await usableTaskDefinition(room, context, input.taskDefinition ?? "");
  return value.family !== current.family || value.revision !== current.taskDefinitionRevision;
}
