import { createHash } from "node:crypto";
import type { CreateServiceRequest, CreateServiceResponse } from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import type { Stored } from "../../../contracts/store.ts";
import { isProblem } from "../../../core/problem.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, usableTaskDefinition } from "../lookups.ts";
import { isName } from "../names.ts";
import { type ServiceRecord, serviceKey, services } from "../records.ts";
import type { Room } from "../room.ts";
import { DEFAULT_DEPLOYMENT, newDeployment, newRevision, readDeploymentConfiguration, SERVICE_MEMBERS } from "../service-rules.ts";
import { historyWrites } from "../service-deployments.ts";
import { serviceView } from "../service-view.ts";
import { readTags } from "../tags.ts";

/**
 * Stores a service; its controller does the rest. The same request for an ACTIVE service is answered as it is; a name is free again when
 * its service is INACTIVE.
 * @throws ClusterNotFoundException, ClientException, InvalidParameterException, PlatformUnknownException
 */
export function createService(room: Room): Operation<CreateServiceRequest, CreateServiceResponse> {
  return {
    name: "CreateService",
    members: {
      ...SERVICE_MEMBERS,
      serviceName: "used",
      clientToken: { ignored: "a service is known by its name: the same request again is answered with the same service" },
      launchType: "used",
      role: { ignored: "tasks with an own network interface use the service-linked role, on AWS too" },
      schedulingStrategy: { refused: "Fargate has replica services only.", unless: ["REPLICA"] },
      tags: "used",
    },
    async handle(input, context) {
      const name = input.serviceName ?? "";
      if (!isName(name))
        throw invalidParameter("Service name can have up to 255 letters (uppercase and lowercase), numbers, underscores and hyphens.");
      const cluster = await activeCluster(room, context, input.cluster);
      const key = serviceKey(context, cluster.value.name, name);
      const requestHash = hashOf(input);
      const present = await room.store.get(services, key);
      const same = present === undefined ? undefined : await answerPresent(room, present, requestHash);
      if (same !== undefined) return same;
      const record = await makeRecord(room, { input, context, cluster: cluster.value, requestHash });
      try {
        await room.store.transact([
          present === undefined
            ? { op: "create", collection: services, key, value: record }
            : { op: "update", collection: services, key, value: record, ifRevision: present.revision },
          ...(await historyWrites(room, undefined, record)),
        ]);
      } catch (error) {
        if (isProblem(error, "already-exists", "conflict")) throw notIdempotent();
        throw error;
      }
      return { service: { ...serviceView(record, []), tags: [...record.tags] } };
    },
  };
}

const notIdempotent = (): Error => invalidParameter("Creation of service was not idempotent.");

async function answerPresent(room: Room, present: Stored<ServiceRecord>, requestHash: string): Promise<CreateServiceResponse | undefined> {
  if (present.value.status === "INACTIVE") return undefined;
  if (present.value.status === "DRAINING") throw invalidParameter("Unable to Start a service that is still Draining.");
  if (present.value.requestHash !== requestHash) throw notIdempotent();
  await room.tasks.ready();
  return { service: { ...serviceView(present.value, room.tasks.ofService(present.key)), tags: [...present.value.tags] } };
}

function hashOf(input: CreateServiceRequest): string {
  const { clientToken: _token, ...rest } = input;
  return createHash("sha256").update(JSON.stringify(rest)).digest("hex");
}

interface Wanted {
  readonly input: CreateServiceRequest;
  readonly context: RequestContext;
  readonly cluster: Parameters<typeof newRevision>[2]["cluster"];
  readonly requestHash: string;
}

async function makeRecord(room: Room, { input, context, cluster, requestHash }: Wanted): Promise<ServiceRecord> {
  const scope = { account: context.account, region: context.region };
  if (input.taskDefinition === undefined) throw invalidParameter("TaskDefinition can not be blank.");
  if (input.desiredCount === undefined) throw invalidParameter("desiredCount must be set for a service with the REPLICA scheduling strategy.");
  if (!Number.isInteger(input.desiredCount) || input.desiredCount < 0 || input.desiredCount > 5000)
    throw invalidParameter("desiredCount should be between 0 and 5000.");
  if (input.healthCheckGracePeriodSeconds !== undefined && (input.loadBalancers ?? []).length === 0) {
    throw invalidParameter("Health check grace period is only valid for services configured to use load balancers");
  }
  const { value: taskDefinition } = await usableTaskDefinition(room, scope, input.taskDefinition);
  const revision = await newRevision(room, scope, { request: input, cluster, taskDefinition });
  return {
    ...scope,
    cluster: cluster.name,
    name: input.serviceName ?? "",
    status: "ACTIVE",
    desiredCount: input.desiredCount,
    createdAtMs: context.nowMs,
    createdBy: context.principal.arn,
    ...readDeploymentConfiguration(input.deploymentConfiguration, DEFAULT_DEPLOYMENT),
    availabilityZoneRebalancing: input.availabilityZoneRebalancing ?? "ENABLED",
    healthCheckGracePeriodSeconds: input.healthCheckGracePeriodSeconds ?? 0,
    propagateTags: input.propagateTags ?? "NONE",
    enableECSManagedTags: input.enableECSManagedTags ?? false,
    tags: readTags(input.tags),
    deployments: [newDeployment(room, revision)],
    events: [],
    standing: {},
    requestHash,
  };
}
