import type { ServiceDeploymentStatus } from "@aws-sdk/client-ecs";
import type { Write } from "../../contracts/store.ts";
import {
  type DeploymentRecord,
  serviceDeploymentKey,
  serviceDeployments,
  type ServiceDeploymentRecord,
  serviceKey,
  type ServiceRecord,
} from "./records.ts";
import type { Room } from "./room.ts";

/** How many deployments of a service are kept. Differs: AWS keeps those of 90 days. */
export const KEPT_DEPLOYMENTS = 100;

/**
 * What the history of a service's deployments must learn of a change to the service; to be written in the same transaction as the change.
 * @param before `undefined` when the service is new.
 */
export async function historyWrites(room: Room, before: ServiceRecord | undefined, after: ServiceRecord): Promise<readonly Write[]> {
  const known = new Map((before?.deployments ?? []).map((deployment) => [deployment.id, deployment]));
  const writes: Write[] = [];
  for (const deployment of after.deployments) {
    const previous = known.get(deployment.id);
    if (previous !== undefined) {
      if (hasChanged(previous, deployment)) writes.push(...(await changed(room, after, deployment)));
    } else if (before?.lastCompleted?.id !== deployment.id) {
      writes.push(put(begun(after, deployment, before?.deployments ?? [])), ...(await forgetOldest(room, after)));
    }
  }
  const kept = new Set(after.deployments.map(({ id }) => id));
  for (const gone of known.values()) {
    if (!kept.has(gone.id) && gone.rolloutState === "IN_PROGRESS") writes.push(...(await changed(room, after, { ...gone, status: "INACTIVE" })));
  }
  return writes;
}

/** The history of a service goes with its record. */
export async function forgetHistory(room: Room, service: ServiceRecord): Promise<readonly Write[]> {
  return (await historyOf(room, service)).map((record) => ({ op: "delete", collection: serviceDeployments, key: keyOf(record) }));
}

/** Newest first. */
export async function historyOf(
  room: Room,
  service: Pick<ServiceRecord, "account" | "region" | "cluster" | "name">,
): Promise<readonly ServiceDeploymentRecord[]> {
  const stored = await room.store.list(serviceDeployments, { prefix: `${serviceKey(service, service.cluster, service.name)}/` });
  return stored
    .map(({ value }) => value)
    .sort((a, b) => b.deployment.createdAtMs - a.deployment.createdAtMs || (a.deployment.id < b.deployment.id ? 1 : -1));
}

export interface DeploymentState {
  readonly status: ServiceDeploymentStatus;
  readonly reason?: string;
}

/** Where a deployment is, in the words of DescribeServiceDeployments. `service` as it is now: a rollback goes on after its cause has ended. */
export function stateOf({ deployment, rollback }: ServiceDeploymentRecord, service: ServiceRecord | undefined): DeploymentState {
  if (deployment.rolloutState === "COMPLETED") return { status: "SUCCESSFUL" };
  if (deployment.rolloutState === "IN_PROGRESS") {
    return deployment.status === "PRIMARY"
      ? { status: "IN_PROGRESS" }
      : { status: "STOPPED", reason: "A newer deployment or the service's deletion has replaced it." };
  }
  const reason = deployment.rolloutStateReason;
  if (rollback === undefined) return { status: "STOPPED", reason };
  const target = service?.deployments.find(({ revision }) => revision.id === rollback.revisionId);
  if (target?.rolloutState === "IN_PROGRESS") return { status: target.status === "PRIMARY" ? "ROLLBACK_IN_PROGRESS" : "ROLLBACK_FAILED", reason };
  return { status: target?.rolloutState === "FAILED" ? "ROLLBACK_FAILED" : "ROLLBACK_SUCCESSFUL", reason };
}

function hasChanged(before: DeploymentRecord, after: DeploymentRecord): boolean {
  return (
    before.rolloutState !== after.rolloutState ||
    (before.status !== after.status && after.rolloutState === "IN_PROGRESS") ||
    before.revision.imageDigests !== after.revision.imageDigests
  );
}

function begun(service: ServiceRecord, deployment: DeploymentRecord, running: readonly DeploymentRecord[]): ServiceDeploymentRecord {
  const { account, region, cluster, name, maximumPercent, minimumHealthyPercent, circuitBreaker } = service;
  return {
    account,
    region,
    cluster,
    service: name,
    deployment,
    sourceRevisionIds: [...new Set(running.map(({ revision }) => revision.id))],
    maximumPercent,
    minimumHealthyPercent,
    circuitBreaker,
  };
}

/** A deployment that has come to its end keeps it: what it is rolled back to later is another matter. */
async function changed(room: Room, service: ServiceRecord, deployment: DeploymentRecord): Promise<readonly Write[]> {
  const stored = await room.store.get(
    serviceDeployments,
    serviceDeploymentKey(service, service.cluster, service.name, deployment.serviceDeploymentId),
  );
  if (stored === undefined || stored.value.finishedAtMs !== undefined) return [];
  const isOver = deployment.rolloutState !== "IN_PROGRESS" || deployment.status !== "PRIMARY";
  const primary = service.deployments.find(({ status }) => status === "PRIMARY");
  const isRolledBack = deployment.rolloutState === "FAILED" && primary !== undefined && primary.id !== deployment.id;
  const nowMs = room.clock.nowMs();
  return [
    put({
      ...stored.value,
      deployment,
      ...(isOver && { finishedAtMs: nowMs }),
      ...(isRolledBack && { rollback: { revisionId: primary.revision.id, startedAtMs: nowMs, reason: deployment.rolloutStateReason } }),
    }),
  ];
}

async function forgetOldest(room: Room, service: ServiceRecord): Promise<readonly Write[]> {
  const old = (await historyOf(room, service)).slice(KEPT_DEPLOYMENTS - 1);
  return old.map((record) => ({ op: "delete", collection: serviceDeployments, key: keyOf(record) }));
}

function keyOf({ deployment, service, ...record }: ServiceDeploymentRecord): string {
  return serviceDeploymentKey(record, record.cluster, service, deployment.serviceDeploymentId);
}

function put(value: ServiceDeploymentRecord): Write {
  return { op: "put", collection: serviceDeployments, key: keyOf(value), value };
}
