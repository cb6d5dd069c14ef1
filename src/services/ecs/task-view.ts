import type { Attachment, Container, KeyValuePair, Task, TaskStopCode } from "@aws-sdk/client-ecs";
import type { ContainerStatus, StopReason, WorkloadStatus } from "../../contracts/engine.ts";
import { clusterArn, containerArn, taskArn, taskDefinitionArn } from "./names.ts";
import type { TaskContainerRecord, TaskRecord } from "./records.ts";
import { desiredStatusOf, lastStatusOf, type ObservedTask, stoppedAtOf } from "./observed-task.ts";
import { dateMember, dateOf } from "./time.ts";

/** Joins record and status into the shape of DescribeTasks, without tags. @see Task in the API reference */
export function taskView(task: Pick<ObservedTask, "record" | "status">): Task {
  const { record, status } = task;
  const stop = status?.stop ?? record.stop;
  const storage = { sizeInGiB: record.ephemeralStorageGiB };
  return {
    attachments: [attachmentOf(record, status)],
    attributes: [{ name: "ecs.cpu-architecture", value: process.arch === "arm64" ? "arm64" : "x86_64" }],
    availabilityZone: record.network.availabilityZone,
    ...(record.capacityProviderName === undefined ? {} : { capacityProviderName: record.capacityProviderName }),
    clusterArn: clusterArn(record, record.cluster),
    ...(status?.connectivityAtMs === undefined ? {} : { connectivity: "CONNECTED", connectivityAt: dateOf(status.connectivityAtMs) }),
    containers: record.containers.map((container) => containerView(record, container, status)),
    cpu: String(record.cpuUnits),
    createdAt: dateOf(record.createdAtMs),
    desiredStatus: desiredStatusOf(task),
    enableExecuteCommand: false,
    ...dateMember("executionStoppedAt", status?.executionStoppedAtMs),
    group: record.group,
    healthStatus: status?.health ?? "UNKNOWN",
    lastStatus: lastStatusOf(task),
    launchType: "FARGATE",
    memory: String(record.memoryMiB),
    overrides: overridesView(record),
    platformVersion: record.platformVersion,
    platformFamily: "Linux",
    ...dateMember("pullStartedAt", status?.pullStartedAtMs),
    ...dateMember("pullStoppedAt", status?.pullStoppedAtMs),
    ...dateMember("startedAt", status?.startedAtMs),
    ...(record.startedBy === undefined ? {} : { startedBy: record.startedBy }),
    ...(stop === undefined ? {} : { stopCode: stopCodeOf(stop), stoppedReason: stop.reason }),
    ...dateMember("stoppedAt", stoppedAtOf(task)),
    ...dateMember("stoppingAt", status?.stoppingAtMs ?? record.stop?.atMs),
    taskArn: taskArn(record, record.cluster, record.taskId),
    taskDefinitionArn: taskDefinitionArn(record, record.family, record.revision),
    version: versionOf(task),
    ephemeralStorage: storage,
    fargateEphemeralStorage: storage,
  };
}

/** Grows with every state event. */
function versionOf({ record, status }: Pick<ObservedTask, "record" | "status">): number {
  return 1 + (status?.version ?? 0) + (record.desiredStatus === "STOPPED" ? 1 : 0) + (record.endedAtMs === undefined ? 0 : 1);
}

function overridesView(record: TaskRecord): NonNullable<Task["overrides"]> {
  const given = record.overrides.containerOverrides ?? [];
  return {
    ...record.overrides,
    containerOverrides: record.containers.map((container) => given.find((override) => override.name === container.name) ?? { name: container.name }),
    inferenceAcceleratorOverrides: [],
  };
}

function attachmentOf(record: TaskRecord, status: WorkloadStatus | undefined): Attachment {
  const network = status?.network;
  const details: KeyValuePair[] = [{ name: "subnetId", value: record.network.subnetId }];
  if (network !== undefined) {
    details.push(
      { name: "networkInterfaceId", value: network.eniId },
      { name: "macAddress", value: network.macAddress },
      { name: "privateDnsName", value: network.privateDnsName },
      { name: "privateIPv4Address", value: network.privateIpv4 },
    );
  }
  return { id: record.network.attachmentId, type: "ElasticNetworkInterface", status: attachmentStatus(status), details };
}

function attachmentStatus(status: WorkloadStatus | undefined): string {
  if (status?.state === "STOPPED") return "DELETED";
  if (status?.network === undefined) return "PRECREATED";
  return status.state === "PROVISIONING" ? "ATTACHING" : "ATTACHED";
}

function containerView(record: TaskRecord, container: TaskContainerRecord, status: WorkloadStatus | undefined): Container {
  const own: ContainerStatus | undefined = status?.containers.find((each) => each.name === container.name);
  const ended = status === undefined && record.endedAtMs !== undefined;
  const digest = own?.imageDigest ?? container.imageDigest;
  return {
    containerArn: containerArn(record, record.cluster, record.taskId, container.arnId),
    taskArn: taskArn(record, record.cluster, record.taskId),
    name: container.name,
    image: container.image,
    ...(digest === undefined ? {} : { imageDigest: digest }),
    ...(own?.runtimeId === undefined ? {} : { runtimeId: own.runtimeId }),
    lastStatus: own?.state ?? (ended ? "STOPPED" : "PENDING"),
    ...(own?.exitCode === undefined ? {} : { exitCode: own.exitCode }),
    ...(own?.reason === undefined ? {} : { reason: own.reason.slice(0, 1024) }),
    networkBindings: [],
    networkInterfaces:
      status?.network === undefined ? [] : [{ attachmentId: record.network.attachmentId, privateIpv4Address: status.network.privateIpv4 }],
    healthStatus: own?.health ?? "UNKNOWN",
    cpu: String(container.cpuUnits),
    ...(container.memoryMiB === undefined ? {} : { memory: String(container.memoryMiB) }),
    ...(container.memoryReservationMiB === undefined ? {} : { memoryReservation: String(container.memoryReservationMiB) }),
  };
}

/** Those of ECS's: a task has none of the limits that the others are about. */
function stopCodeOf({ code }: StopReason): TaskStopCode {
  return code === "Evicted" || code === "DeadlineExceeded" ? "TerminationNotice" : code;
}
