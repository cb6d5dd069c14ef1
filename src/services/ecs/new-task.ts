import type { LoadBalancer, TaskOverride } from "@aws-sdk/client-ecs";
import type { Ids } from "../../core/ids.ts";
import type { Scope } from "../../core/scope.ts";
import { PLATFORM_VERSION } from "./capacity-rules.ts";
import { readFargateSize } from "./fargate-sizes.ts";
import type { TagRecord, TaskContainerRecord, TaskDefinitionRecord, TaskRecord, TaskServiceRecord } from "./records.ts";

const DEFAULT_STORAGE_GIB = 20;

export interface NewTask {
  readonly scope: Scope;
  readonly cluster: string;
  readonly taskDefinition: TaskDefinitionRecord;
  readonly group: string;
  readonly startedBy?: string;
  readonly capacityProviderName?: string;
  readonly overrides: TaskOverride;
  readonly network: Omit<TaskRecord["network"], "attachmentId">;
  readonly loadBalancers: readonly LoadBalancer[];
  readonly tags: readonly TagRecord[];
  readonly service?: TaskServiceRecord;
  /** Container name to manifest digest. */
  readonly imageDigests?: Readonly<Record<string, string>>;
  readonly nowMs: number;
}

/** The record of a task to be. Its ids are drawn here, once; all that is made later is made from the record. */
export function newTask(ids: Ids, wanted: NewTask): TaskRecord {
  const { definition, family, revision } = wanted.taskDefinition;
  const size = readFargateSize(wanted.overrides.cpu ?? definition.cpu, wanted.overrides.memory ?? definition.memory);
  return {
    account: wanted.scope.account,
    region: wanted.scope.region,
    taskId: ids.hex(32),
    cluster: wanted.cluster,
    family,
    revision,
    group: wanted.group,
    ...(wanted.startedBy === undefined ? {} : { startedBy: wanted.startedBy }),
    ...(wanted.capacityProviderName === undefined ? {} : { capacityProviderName: wanted.capacityProviderName }),
    platformVersion: PLATFORM_VERSION,
    cpuUnits: size.cpuUnits,
    memoryMiB: size.memoryMiB,
    ephemeralStorageGiB: wanted.overrides.ephemeralStorage?.sizeInGiB ?? definition.ephemeralStorage?.sizeInGiB ?? DEFAULT_STORAGE_GIB,
    createdAtMs: wanted.nowMs,
    desiredStatus: "RUNNING",
    overrides: wanted.overrides,
    network: { ...wanted.network, attachmentId: ids.uuid() },
    containers: definition.containerDefinitions.map((container) => newContainer(ids, { container, wanted })),
    ...(wanted.service === undefined ? {} : { service: wanted.service }),
    loadBalancers: wanted.loadBalancers,
    tags: wanted.tags,
  };
}

function newContainer(
  ids: Ids,
  { container, wanted }: { readonly container: TaskDefinitionRecord["definition"]["containerDefinitions"][number]; readonly wanted: NewTask },
): TaskContainerRecord {
  const name = container.name ?? "";
  const override = (wanted.overrides.containerOverrides ?? []).find((each) => each.name === name);
  const digest = wanted.imageDigests?.[name] ?? /@(sha256:[0-9a-f]{64})$/.exec(container.image ?? "")?.[1];
  const memoryMiB = override?.memory ?? container.memory;
  const memoryReservationMiB = override?.memoryReservation ?? container.memoryReservation;
  return {
    name,
    arnId: ids.uuid(),
    image: container.image ?? "",
    ...(digest === undefined ? {} : { imageDigest: digest }),
    cpuUnits: override?.cpu ?? container.cpu ?? 0,
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    ...(memoryReservationMiB === undefined ? {} : { memoryReservationMiB }),
    essential: container.essential ?? true,
    hasHealthCheck: container.healthCheck !== undefined,
  };
}
