import type { VolumeFile, Workload } from "./workload.ts";

/** In order; a workload only ever moves forward, and may skip. ECS's task states; pods are derived from the containers. */
export const WORKLOAD_STATES = ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"] as const;
export type WorkloadState = (typeof WORKLOAD_STATES)[number];

export type Health = "HEALTHY" | "UNHEALTHY" | "UNKNOWN";

export interface ContainerStatus {
  readonly name: string;
  readonly state: "PENDING" | "RUNNING" | "STOPPED";
  /** `<32 hex>-<10 digits>` once made; also its DockerId at the metadata endpoint. */
  readonly runtimeId?: string;
  /** Manifest digest that was pulled. */
  readonly imageDigest?: string;
  readonly exitCode?: number;
  /** e.g. `OutOfMemoryError: Container killed due to memory usage`, `CannotPullContainerError: …`. */
  readonly reason?: string;
  readonly health: Health;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly createdAtMs?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
}

/** Why a workload was asked to end, or ended by itself. Codes are ECS's stop codes, and Kubernetes' reasons for ends that only pods have. */
export interface StopReason {
  readonly code:
    | "TaskFailedToStart"
    | "EssentialContainerExited"
    | "UserInitiated"
    | "ServiceSchedulerInitiated"
    | "SpotInterruption"
    | "TerminationNotice"
    | "Evicted"
    | "DeadlineExceeded";
  readonly reason: string;
}

/** The address a workload got, as `Network.attach` answered it. */
export interface NetworkStatus {
  readonly attachmentId: string;
  readonly eniId: string;
  readonly macAddress: string;
  readonly privateIpv4: string;
  readonly privateDnsName: string;
  readonly publicIpv4?: string;
  readonly subnetId: string;
  readonly vpcId: string;
  /** Of the subnet, e.g. `172.31.0.0/20`. */
  readonly subnetCidr: string;
  readonly gatewayIpv4: string;
}

/** What the compute layer knows of a workload. The compute layer is the only writer. Times are ms since the epoch. */
export interface WorkloadStatus {
  readonly id: string;
  readonly state: WorkloadState;
  readonly desired: "RUNNING" | "STOPPED";
  readonly stop?: StopReason;
  readonly health: Health;
  readonly network?: NetworkStatus;
  readonly containers: readonly ContainerStatus[];
  readonly acceptedAtMs: number;
  readonly connectivityAtMs?: number;
  readonly pullStartedAtMs?: number;
  readonly pullStoppedAtMs?: number;
  readonly startedAtMs?: number;
  readonly stoppingAtMs?: number;
  readonly executionStoppedAtMs?: number;
  readonly stoppedAtMs?: number;
  /** Grows by one with each change. */
  readonly version: number;
  /** Each phase with its time, for `tidegate ps TASK`. */
  readonly timeline: readonly { readonly phase: string; readonly atMs: number }[];
}

export interface EngineInfo {
  readonly name: string;
  readonly runtimeHandlers: readonly string[];
  readonly capacity: { readonly memoryMiB: number; readonly cpuUnits: number };
}

export interface WorkloadView {
  readonly workload: Workload;
  readonly status: WorkloadStatus;
}

/**
 * Runs whole workloads. Desired state is stored before a call resolves; the work itself goes on behind it and survives restarts.
 * Built over a ContainerRuntime by `fargate/` (cri, simulated), or over something that takes whole pods (kubernetes).
 */
export interface Engine {
  fingerprint(): Promise<EngineInfo>;
  /**
   * Admits and starts. Idempotent by `workload.id`.
   * @throws Problem `exhausted` when memory for it cannot be promised.
   */
  start(workload: Workload): Promise<void>;
  /** Asks it to end; the first caller's reason stays. Idempotent; @throws Problem `not-found`. */
  stop(id: string, reason: StopReason): Promise<void>;
  /** Brings what may change of a workload while it runs to what is given; what is left out stays. Idempotent; one that does not run is left alone. */
  refresh?(id: string, change: WorkloadChange): Promise<void>;
  /** Forgets a STOPPED workload and what is left of it (its logs stay). Idempotent. @throws Problem `conflict` while it is not STOPPED. */
  destroy(id: string): Promise<void>;
  get(id: string): Promise<WorkloadView | undefined>;
  list(filter?: { readonly labels?: Readonly<Record<string, string>> }): Promise<readonly WorkloadView[]>;
  /** Each change of a status, after it is stored. */
  watch(listener: (view: WorkloadView) => void): Disposable;
  /** CPU, memory and network counters of a running container; undefined when it does not run. */
  stats?(id: string, container: string): Promise<ContainerStats | undefined>;
  /** Runs a command in a container and waits, at most `timeoutMs`. For probes and tests; streams come with ECS Exec. */
  exec?(id: string, container: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult>;
}

/** By volume name: the files that a `files` volume has now, all of them. Mounts of a subPath keep what they had. */
export interface WorkloadChange {
  readonly files?: Readonly<Record<string, readonly VolumeFile[]>>;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ContainerStats {
  readonly atMs: number;
  readonly cpuUsageNanos: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
}
