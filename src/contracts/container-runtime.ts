import type { ContainerStats, ExecResult, StandardStreams, StreamEndpoint } from "./engine.ts";
import type { Ulimit } from "./workload.ts";

/**
 * The verbs of a CRI runtime, narrowed to what the compute layer uses. Every verb is idempotent: repeating one that took effect answers the
 * same, and removing what is not there succeeds. Everything made carries `labels`, so that a sweep can tell owners.
 */
export interface ContainerRuntime {
  fingerprint(): Promise<{ readonly name: string; readonly version: string; readonly runtimeHandlers: readonly string[] }>;

  /** Makes image `reference` present; pulls unless `policy` forbids. @throws Problem `not-found`, `unavailable`, `invalid` with the registry's words. */
  pullImage(request: PullRequest): Promise<ImageInfo>;

  /** The images that are present, but for those that the runtime itself needs. Left out where a runtime keeps none. */
  listImages?(): Promise<readonly RuntimeImage[]>;
  /**
   * Removes an image; its disk space is free when it resolves. False, and nothing is done, while a container is made of it, or it is being
   * pulled. One that is not there is removed.
   */
  removeImage?(id: string): Promise<boolean>;

  /** Makes a sandbox (pause process, own namespaces; no network interface but `lo`), once for a name; one of that name that has ended is replaced. */
  createSandbox(spec: SandboxSpec): Promise<Sandbox>;
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  listSandboxes(): Promise<readonly Sandbox[]>;

  /** Once for a sandbox, name and attempt. @throws Problem `not-found` without the sandbox or image, `invalid` for e.g. an unknown user. */
  createContainer(sandbox: Sandbox, spec: RuntimeContainerSpec): Promise<string>;
  /**
   * Starts it, if it never was. A start that was cut off by the death of its caller leaves the container as though it had not been made.
   * @throws Problem `invalid` with the runtime's words when its program cannot be run, `unavailable` when the container has to be made again.
   */
  startContainer(id: string): Promise<void>;
  /** Sends the image's stop signal (or `signal`), waits `graceSeconds`, then SIGKILL. Resolves when it has ended. */
  stopContainer(id: string, options: { readonly graceSeconds: number; readonly signal?: string }): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(): Promise<readonly RuntimeContainer[]>;
  /** The truth of one container or sandbox, so that an event costs no list; `undefined` when it is gone. Left out where lists are as cheap. */
  inspectContainer?(id: string): Promise<RuntimeContainer | undefined>;
  inspectSandbox?(id: string): Promise<Sandbox | undefined>;
  /** @throws Problem `unavailable` when the command did not end in time (it is killed), `conflict` when the container does not run. */
  execSync(id: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult>;
  /** As `Engine.stream`, of a container's id, or of a sandbox's. Left out where nothing runs. @throws Problem `not-found`, `conflict`, `unsupported`. */
  stream?(request: RuntimeStreamRequest): Promise<StreamEndpoint>;
  /**
   * After its log file was renamed: the runtime goes on in a new one; for some milliseconds it may still write lines that it had into the old
   * one, which it then closes. Left out where no logs are written.
   */
  reopenContainerLog?(id: string): Promise<void>;
  stats(id: string): Promise<ContainerStats | undefined>;
  /** What each container, running or not, has written into its own layer, by id; as the runtime measured it last, a few seconds ago. */
  layerUsage(): Promise<ReadonlyMap<string, DiskUsage>>;
  /** In words, what of a container's ulimits this host cannot give in full. Left out where it gives all. */
  ulimitShortfalls?(ulimits: readonly Ulimit[]): readonly string[];

  /**
   * Sets hard limits on all that runs under `cgroupParent` together, the task; makes the group when missing. To be called before the
   * first container starts. When memory runs out, the container that takes the most of it is killed, not the whole group.
   */
  limitGroup(cgroupParent: string, limits: GroupLimits): Promise<void>;
  /** What all that runs in the group uses together; `undefined` when it is not there. Left out where nothing is used. */
  groupStats?(cgroupParent: string): Promise<ContainerStats | undefined>;
  /** How many forks and threads were refused in the group because of its limit of processes. */
  refusedForks(cgroupParent: string): Promise<number>;
  /**
   * Removes the group after its last sandbox; one that is not there is no failure. With `endsProcesses` what still lives in it is nobody's, and
   * killed. @throws Problem `conflict` while processes live in it.
   */
  removeGroup(cgroupParent: string, options?: { readonly endsProcesses?: boolean }): Promise<void>;
  /** Names of the groups right beneath `folder`, e.g. `/tidegate-ab12cd`; none when it is not there. */
  listGroups(folder: string): Promise<readonly string[]>;

  /** Starts, exits and OOM kills as they happen. Lossy across reconnects: `resync` says that a list is needed. */
  watch(listener: (event: RuntimeEvent) => void): Disposable;
  close(): Promise<void>;
}

export type RuntimeStreamRequest =
  | ({ readonly type: "exec"; readonly containerId: string; readonly command: readonly string[] } & StandardStreams)
  | ({ readonly type: "attach"; readonly containerId: string } & StandardStreams)
  | { readonly type: "port-forward"; readonly sandboxId: string; readonly ports: readonly number[] };

export interface PullRequest {
  readonly image: string;
  readonly digest?: string;
  readonly policy: "always" | "if-not-present" | "never";
  readonly credentials?: { readonly username: string; readonly password: string };
}

export interface ImageInfo {
  /** What createContainer takes. */
  readonly reference: string;
  /** Digest of the manifest or index that the reference names. */
  readonly digest: string;
  readonly user?: string;
  readonly stopSignal?: string;
  readonly environment: readonly string[];
  /** The image's ENTRYPOINT and CMD, where the runtime tells them; an init process in front of them needs to know. */
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
}

/** An image that is present. */
export interface RuntimeImage {
  /** As in `ImageInfo.reference`. */
  readonly id: string;
  /** Tags, or names by digest where it has none. */
  readonly names: readonly string[];
  /** Of the manifests or indexes that its names stand for. */
  readonly digests: readonly string[];
  /** As it was downloaded; unpacked it takes more. */
  readonly sizeBytes: number;
  /** A container is made of it. */
  readonly inUse: boolean;
  /** Since somebody last asked for it; at most since this process came to know it. */
  readonly idleMs: number;
}

export interface SandboxSpec {
  /** Unique; the runtime's own names derive from it. */
  readonly name: string;
  readonly runtimeHandler: string;
  readonly hostname?: string;
  /** Parent cgroup, absolute in the hierarchy, e.g. `/tidegate-ab12cd/<name>`; made when missing. Limits are set with `limitGroup`. */
  readonly cgroupParent: string;
  readonly logDirectory: string;
  readonly sharePidNamespace: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Sandbox {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  readonly createdAtMs: number;
  /** Process id of the pause process; its namespaces are the sandbox's. */
  readonly pid?: number;
  /** e.g. `/run/…/netns/…`; `undefined` when gone. */
  readonly netnsPath?: string;
}

export interface GroupLimits {
  readonly memoryBytes?: number;
  /** 1024 = 1 vCPU; a quota, not a weight. */
  readonly cpuUnits?: number;
  /** Processes and threads at once. */
  readonly processes?: number;
}

/** What files take on disk: allocated blocks, and how many files and folders there are. */
export interface DiskUsage {
  readonly bytes: number;
  readonly inodes: number;
}

export interface RuntimeMount {
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

export interface RuntimeContainerSpec {
  readonly name: string;
  /** 0 for the first, then one more for each restart. */
  readonly attempt: number;
  readonly image: ImageInfo;
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
  readonly workingDirectory?: string;
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly RuntimeMount[];
  readonly user?: string;
  readonly supplementalGroups: readonly number[];
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly readOnlyRootFilesystem: boolean;
  readonly noNewPrivileges: boolean;
  readonly cpuShares: number;
  readonly cpuLimitUnits?: number;
  readonly memoryLimitBytes?: number;
  readonly ulimits: readonly Ulimit[];
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce?: boolean;
  /** The id of a container of the sandbox whose processes it sees and may signal. */
  readonly processesOf?: string;
  /** Relative to the sandbox's log directory, e.g. `web/0.log`; empty: what it writes is not kept. */
  readonly logPath: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface RuntimeContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly name: string;
  readonly attempt: number;
  readonly state: "created" | "running" | "exited" | "unknown";
  readonly labels: Readonly<Record<string, string>>;
  readonly exitCode?: number;
  /** True only when this container itself was killed for memory (its own cgroup's `oom_kill` counter), not an innocent sibling. */
  readonly oomKilled: boolean;
  /** Set when what watched over it on the host was ended first, and it with that. */
  readonly watcherLost?: true;
  readonly reason?: string;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
}

export type RuntimeEvent =
  | { readonly type: "container"; readonly containerId: string; readonly sandboxId?: string }
  | { readonly type: "sandbox"; readonly sandboxId: string }
  | { readonly type: "resync" };
