import type { ContainerStatus, WorkloadView } from "../../contracts/engine.ts";
import type { ContainerSpec } from "../../contracts/workload.ts";
import { formatArn } from "../../core/arn.ts";
import type { TagRecord } from "./records.ts";

/** The task metadata endpoint's JSON, version 4. @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html */
export type MetadataJson = Readonly<Record<string, unknown>>;

export interface MetadataOptions {
  /** Set for `taskWithTags`. */
  readonly tags?: readonly TagRecord[];
  /** What the task has on disk. */
  readonly storageUsedBytes: number;
  /** For `ClockDrift`. */
  readonly nowMs: number;
}

const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/Z$/, "000000Z");

function without(members: Readonly<Record<string, unknown>>): MetadataJson {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** `${ECS_CONTAINER_METADATA_URI_V4}/task`: the task with all its containers. */
export function taskMetadata(view: WorkloadView, options: MetadataOptions): MetadataJson {
  const { workload, status } = view;
  const { labels } = workload;
  return without({
    Cluster: labels["clusterArn"],
    TaskARN: labels["taskArn"],
    Family: labels["family"],
    Revision: labels["revision"],
    DesiredStatus: status.desired,
    KnownStatus: status.state,
    Limits: { CPU: workload.cpuUnits / 1024, Memory: workload.memoryMiB },
    PullStartedAt: maybe(status.pullStartedAtMs),
    PullStoppedAt: maybe(status.pullStoppedAtMs),
    ExecutionStoppedAt: maybe(status.executionStoppedAtMs),
    AvailabilityZone: workload.availabilityZone,
    TaskTags: options.tags === undefined ? undefined : Object.fromEntries(options.tags.map((tag) => [tag.key, tag.value])),
    LaunchType: labels["launchType"],
    Containers: workload.containers.map((container) => containerMetadata(view, container.name)).filter((each) => each !== undefined),
    VPCID: workload.network.vpcId,
    ServiceName: labels["serviceName"],
    ClockDrift: { ClockErrorBound: 0, ReferenceTimestamp: new Date(options.nowMs).toISOString(), ClockSynchronizationStatus: "SYNCHRONIZED" },
    EphemeralStorageMetrics: { Utilized: Math.ceil(options.storageUsedBytes / 2 ** 20), Reserved: workload.ephemeralStorageGiB * 1024 + 16 },
    FaultInjectionEnabled: false,
  });
}

/** `${ECS_CONTAINER_METADATA_URI_V4}`: one container; `undefined` when the task has none of this name. */
export function containerMetadata(view: WorkloadView, name: string): MetadataJson | undefined {
  const spec = view.workload.containers.find((each) => each.name === name);
  const status = view.status.containers.find((each) => each.name === name);
  if (spec === undefined) return undefined;
  return without({
    DockerId: status?.runtimeId,
    Name: spec.name,
    DockerName: spec.name,
    Image: spec.image,
    ImageID: status?.imageDigest ?? spec.imageDigest,
    Ports: spec.ports.length === 0 ? undefined : spec.ports.map((port) => ({ ContainerPort: port.containerPort, Protocol: port.protocol })),
    Labels: spec.labels,
    DesiredStatus: view.status.desired,
    KnownStatus: knownStatus(status),
    ExitCode: status?.exitCode,
    // Fargate's default share where the definition reserves nothing.
    Limits: without({ CPU: spec.cpuUnits === 0 ? 2 : spec.cpuUnits, Memory: spec.memoryMiB }),
    CreatedAt: maybe(status?.createdAtMs),
    StartedAt: maybe(status?.startedAtMs),
    FinishedAt: maybe(status?.finishedAtMs),
    Type: "NORMAL",
    Health: spec.probes.health === undefined ? undefined : { status: status?.health ?? "UNKNOWN" },
    LogDriver: spec.log.type === "awslogs" ? "awslogs" : undefined,
    LogOptions: logOptions(spec),
    ContainerARN: containerArnOf(view, name),
    Networks: networksOf(view),
    Snapshotter: "overlayfs",
    RestartCount: spec.restart.policy === "never" ? undefined : (status?.restartCount ?? 0),
  });
}

const maybe = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : timestamp(ms));

function knownStatus(status: ContainerStatus | undefined): string {
  if (status === undefined || status.state === "PENDING") return status?.imageDigest === undefined ? "NONE" : "PULLED";
  return status.state;
}

function logOptions({ log }: ContainerSpec): MetadataJson | undefined {
  if (log.type !== "awslogs") return undefined;
  return { "awslogs-group": log.group, "awslogs-region": log.region, "awslogs-stream": log.stream };
}

function containerArnOf({ workload }: WorkloadView, name: string): string | undefined {
  const ids = JSON.parse(workload.labels["containerArnIds"] ?? "{}") as Readonly<Record<string, string>>;
  const id = ids[name];
  if (id === undefined) return undefined;
  const resource = `container/${workload.labels["cluster"]}/${workload.id}/${id}`;
  return formatArn({ service: "ecs", region: workload.region, account: workload.account, resource });
}

function networksOf({ status }: WorkloadView): readonly MetadataJson[] {
  const { network } = status;
  if (network === undefined) return [];
  const prefixLength = network.subnetCidr.split("/")[1];
  return [
    {
      NetworkMode: "awsvpc",
      IPv4Addresses: [network.privateIpv4],
      AttachmentIndex: 0,
      MACAddress: network.macAddress,
      IPv4SubnetCIDRBlock: network.subnetCidr,
      PrivateDNSName: network.privateDnsName,
      SubnetGatewayIpv4Address: `${network.gatewayIpv4}/${prefixLength}`,
    },
  ];
}
