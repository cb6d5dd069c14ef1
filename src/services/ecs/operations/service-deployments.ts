import type {
  DescribeServiceDeploymentsRequest,
  DescribeServiceDeploymentsResponse,
  Failure,
  ListServiceDeploymentsRequest,
  ListServiceDeploymentsResponse,
  ServiceDeployment,
  ServiceDeploymentBrief,
  ServiceDeploymentCircuitBreaker,
  ServiceRevisionSummary,
} from "@aws-sdk/client-ecs";
import type { Operation } from "../../../contracts/service.ts";
import { breakerThreshold } from "../controllers/rollout-arithmetic.ts";
import { invalidParameter } from "../errors.ts";
import { activeCluster, atMost, findService } from "../lookups.ts";
import { clusterArn, partOfService, serviceArn, serviceDeploymentArn, serviceRevisionArn } from "../names.ts";
import { pageOf } from "../paging.ts";
import { serviceDeploymentKey, serviceDeployments, type ServiceDeploymentRecord, serviceKey, type ServiceRecord, services } from "../records.ts";
import type { Room } from "../room.ts";
import { historyOf, stateOf } from "../service-deployments.ts";
import { countTasks, desiredCountOf } from "../service-view.ts";
import { dateMember, dateOf } from "../time.ts";

/** A service's deployments, newest first. @throws ClusterNotFoundException, ServiceNotFoundException */
export function listServiceDeployments(room: Room): Operation<ListServiceDeploymentsRequest, ListServiceDeploymentsResponse> {
  return {
    name: "ListServiceDeployments",
    members: { service: "used", cluster: "used", status: "used", createdAt: "used", nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      const cluster = await activeCluster(room, context, input.cluster);
      const { value: service } = await findService(room, context, { cluster: cluster.value.name, service: input.service ?? "" });
      const { before, after } = input.createdAt ?? {};
      const found = (await historyOf(room, service))
        .filter(({ deployment: { createdAtMs } }) => {
          return (before === undefined || createdAtMs < before.getTime()) && (after === undefined || createdAtMs > after.getTime());
        })
        .map((record) => briefOf(record, service))
        .filter(({ status }) => input.status === undefined || input.status.length === 0 || (status !== undefined && input.status.includes(status)));
      const page = pageOf(found, input, { idOf: placeOf, defaultSize: 20, descending: true });
      return { serviceDeployments: [...page.items], ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) };
    },
  };
}

/** Newest first, as `historyOf` sorts. */
function placeOf({ createdAt, targetServiceRevisionArn }: ServiceDeploymentBrief): string {
  return `${String(createdAt?.getTime() ?? 0).padStart(15, "0")} ${targetServiceRevisionArn}`;
}

function briefOf(record: ServiceDeploymentRecord, service: ServiceRecord): ServiceDeploymentBrief {
  const { deployment, cluster, service: name } = record;
  const { status, reason } = stateOf(record, service);
  return {
    serviceDeploymentArn: serviceDeploymentArn(record, cluster, name, deployment.serviceDeploymentId),
    serviceArn: serviceArn(record, cluster, name),
    clusterArn: clusterArn(record, cluster),
    createdAt: dateOf(deployment.createdAtMs),
    startedAt: dateOf(deployment.createdAtMs),
    ...dateMember("finishedAt", record.finishedAtMs),
    targetServiceRevisionArn: serviceRevisionArn(record, cluster, name, deployment.revision.id),
    status,
    ...(reason === undefined ? {} : { statusReason: reason }),
  };
}

/** Deployments by ARN; unknown ones are failures. @throws InvalidParameterException, ClusterNotFoundException, ServiceNotFoundException */
export function describeServiceDeployments(room: Room): Operation<DescribeServiceDeploymentsRequest, DescribeServiceDeploymentsResponse> {
  return {
    name: "DescribeServiceDeployments",
    members: { serviceDeploymentArns: "used" },
    async handle(input, context) {
      const arns = input.serviceDeploymentArns ?? [];
      if (arns.length === 0) throw invalidParameter("serviceDeploymentArns cannot be empty.");
      atMost("serviceDeploymentArns", arns, 20);
      await room.tasks.ready();
      const found: ServiceDeployment[] = [];
      const failures: Failure[] = [];
      for (const arn of new Set(arns)) {
        const { cluster, service, id } = partOfService(arn, "service-deployment", context);
        const owner = await room.store.get(services, serviceKey(context, cluster, service));
        const record = await room.store.get(serviceDeployments, serviceDeploymentKey(context, cluster, service, id));
        if (record === undefined || owner === undefined) failures.push({ arn, reason: "MISSING" });
        else found.push(viewOf(room, record.value, owner.value));
      }
      return { serviceDeployments: found, failures };
    },
  };
}

function viewOf(room: Room, record: ServiceDeploymentRecord, service: ServiceRecord): ServiceDeployment {
  const { deployment, cluster, service: name, rollback } = record;
  const brief = briefOf(record, service);
  const live = service.deployments.find(({ id }) => id === deployment.id) ?? deployment;
  return {
    ...brief,
    updatedAt: dateOf(Math.max(live.updatedAtMs, record.finishedAtMs ?? 0)),
    ...(brief.status === "STOPPED" ? dateMember("stoppedAt", record.finishedAtMs) : {}),
    sourceServiceRevisions: record.sourceRevisionIds.map((id) => summaryOf(room, service, id)),
    targetServiceRevision: summaryOf(room, service, deployment.revision.id),
    deploymentConfiguration: {
      deploymentCircuitBreaker: { ...record.circuitBreaker },
      maximumPercent: record.maximumPercent,
      minimumHealthyPercent: record.minimumHealthyPercent,
      strategy: "ROLLING",
      bakeTimeInMinutes: 0,
    },
    ...(rollback === undefined
      ? {}
      : {
          rollback: {
            reason: rollback.reason,
            startedAt: dateOf(rollback.startedAtMs),
            serviceRevisionArn: serviceRevisionArn(record, cluster, name, rollback.revisionId),
          },
        }),
    deploymentCircuitBreaker: breakerOf(record, Math.max(live.failedTasks, live.healthFailures), service.desiredCount),
    alarms: { status: "DISABLED", alarmNames: [], triggeredAlarmNames: [] },
  };
}

function breakerOf(
  { circuitBreaker, deployment }: ServiceDeploymentRecord,
  failureCount: number,
  desiredCount: number,
): ServiceDeploymentCircuitBreaker {
  const running = { IN_PROGRESS: "MONITORING", COMPLETED: "MONITORING_COMPLETE", FAILED: "TRIGGERED" } as const;
  return { status: circuitBreaker.enable ? running[deployment.rolloutState] : "DISABLED", failureCount, threshold: breakerThreshold(desiredCount) };
}

/** A revision's tasks as they are now. */
function summaryOf(room: Room, service: ServiceRecord, revisionId: string): ServiceRevisionSummary {
  const deployment = service.deployments.find(({ revision }) => revision.id === revisionId);
  const own = room.tasks
    .ofService(serviceKey(service, service.cluster, service.name))
    .filter(({ record }) => record.service?.deploymentId === deployment?.id);
  const counts = countTasks(deployment === undefined ? [] : own);
  return {
    arn: serviceRevisionArn(service, service.cluster, service.name, revisionId),
    requestedTaskCount: deployment === undefined ? 0 : desiredCountOf(service, deployment, counts),
    runningTaskCount: counts.running,
    pendingTaskCount: counts.pending,
  };
}
