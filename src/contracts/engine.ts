import type { ContainerSpec, VolumeFile, Workload } from "./workload.ts";

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
  /** Why its newest attempt did not run. */
  readonly startFailure?: StartFailure;
  /** What a probe or a hook holds against it just now. */
  readonly complaint?: Complaint;
  /** Its last words, of the newest attempt, once that has ended. */
  readonly terminationMessage?: string;
  /** Of the attempt before the newest. */
  readonly lastEnd?: ContainerEnd;
  readonly health: Health;
  readonly ready: boolean;
  /** It runs and its startup probe, if it has one, has passed. Left out: of a record that does not say. */
  readonly started?: boolean;
  readonly restartCount: number;
  readonly createdAtMs?: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
}

/** How an attempt of a container ended; its members as the container's own have them. `attempt`: its number, from 0. */
export interface ContainerEnd extends Pick<
  ContainerStatus,
  "exitCode" | "reason" | "startFailure" | "terminationMessage" | "startedAtMs" | "finishedAtMs"
> {
  readonly attempt: number;
}

/** A probe or hook that failed, in its own words; `ends`: the container is ended for it. */
export interface Complaint {
  readonly about: "startup" | "readiness" | "liveness" | "postStart" | "preStop";
  readonly words: string;
  readonly ends?: boolean;
}

/**
 * At which step the start of a container failed, and why, in the runtime's or registry's own words. What fails before `start` is tried again
 * under a back-off where the container has one, and is no restart: there was nothing that ran.
 */
export interface StartFailure {
  readonly step: "image-name" | "image-absent" | "pull" | "config" | "create" | "start";
  readonly words: string;
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
  /** Of what runs the containers, e.g. `1.6.20`. */
  readonly version: string;
  /** Where they run: the architecture as images name it, and the kernel's release. */
  readonly machine: { readonly architecture: string; readonly kernel: string };
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
  /**
   * Asks it to end; the first caller's reason stays. `graceSeconds`: what all its containers have together, from the first call that names it; a
   * later call may shorten it. Idempotent; @throws Problem `not-found`.
   */
  stop(id: string, reason: StopReason, options?: { readonly graceSeconds?: number }): Promise<void>;
  /** Brings what may change of a workload while it runs to what is given; what is left out stays. Idempotent; one that does not run is left alone. */
  refresh?(id: string, change: WorkloadChange): Promise<void>;
  /** Forgets a STOPPED workload and what is left of it (its logs stay). Idempotent. @throws Problem `conflict` while it is not STOPPED. */
  destroy(id: string): Promise<void>;
  get(id: string): Promise<WorkloadView | undefined>;
  list(filter?: { readonly labels?: Readonly<Record<string, string>> }): Promise<readonly WorkloadView[]>;
  /** Each change of a status, after it is stored. */
  watch(listener: (view: WorkloadView) => void): Disposable;
  /** CPU and memory counters of a running container, or of all that the workload has together; undefined when it does not run. */
  stats?(id: string, container?: string): Promise<ContainerStats | undefined>;
  /** Runs a command in a container and waits, at most `timeoutMs`. For probes and tests. */
  exec?(id: string, container: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult>;
  /**
   * Prepares a stream into a workload that runs. @throws Problem `not-found`, `conflict` when the container does not run, `unsupported` where
   * nothing is computed.
   */
  stream?(id: string, request: StreamRequest): Promise<StreamEndpoint>;
  /** The logs that are kept as files (`LogSink` `file`), also of a workload that is STOPPED, until it is destroyed; none where there are none. */
  logFiles?(id: string): Promise<readonly ContainerLogFile[]>;
  /**
   * Adds a container of kind `ephemeral` to a workload, which is started as soon as the others may be; once for a name, a second time is no
   * failure. @throws Problem `not-found`, `conflict` when the workload is to end, `invalid`, `unsupported`.
   */
  addContainer?(id: string, container: ContainerSpec): Promise<void>;
}

/** Standard streams of a command, or of a container's own process; or ports of the workload's address, on its loopback. */
export type StreamRequest =
  | ({ readonly type: "exec"; readonly container: string; readonly command: readonly string[] } & StandardStreams)
  | ({ readonly type: "attach"; readonly container: string } & StandardStreams)
  | { readonly type: "port-forward"; readonly ports: readonly number[] };

export interface StandardStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  /** Never with `tty`. */
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** Where a connection that is to become a stream is led to, byte by byte from its HTTP request on: at 127.0.0.1, once, soon. */
export interface StreamEndpoint {
  readonly port: number;
  /** With all that tells the stream from others; whoever knows it has the stream. */
  readonly path: string;
}

/** The log of one attempt of a container, in CRI's format: `<RFC3339Nano> stdout|stderr F|P <text>`. */
export interface ContainerLogFile {
  readonly container: string;
  /** 0 for the first, then one more for each restart. */
  readonly attempt: number;
  /** The current file; rotated ones are beside it, `<path>.<number>`, oldest first. */
  readonly path: string;
}

/** What may change of a workload while it runs. */
export interface WorkloadChange {
  /** By volume name: the files that a `files` volume has now, all of them. Mounts of a subPath keep what they had. */
  readonly files?: Readonly<Record<string, readonly VolumeFile[]>>;
  /** As `Workload`'s, counted from the same moment; one that has passed ends it. */
  readonly activeDeadlineSeconds?: number;
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
