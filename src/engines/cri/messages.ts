/** The messages of `protos/` as TypeScript: 64-bit numbers are decimal strings, enums their names, absent messages null. */

export type Nothing = Record<string, never>;

export interface VersionResponse {
  readonly runtimeName: string;
  readonly runtimeVersion: string;
}

export interface PodSandboxConfig {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string; readonly attempt: number };
  readonly hostname: string;
  readonly logDirectory: string;
  readonly dnsConfig?: { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] };
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly linux: {
    readonly cgroupParent: string;
    readonly securityContext: {
      readonly namespaceOptions: NamespaceOptions;
      readonly readonlyRootfs: boolean;
      readonly seccomp: SecurityProfile;
    };
  };
}

export interface NamespaceOptions {
  readonly network: "POD";
  readonly pid: "POD" | "CONTAINER" | "TARGET";
  readonly ipc: "POD";
  /** With pid TARGET: the container whose processes are seen. */
  readonly targetId?: string;
}

export interface SecurityProfile {
  readonly profileType: "RuntimeDefault" | "Unconfined";
}

export interface PodSandboxItem {
  readonly id: string;
  readonly metadata: { readonly name: string } | null;
  readonly state: "SANDBOX_READY" | "SANDBOX_NOTREADY";
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface PodSandboxStatusResponse {
  readonly status: PodSandboxItem;
  readonly info: Readonly<Record<string, string>>;
}

export interface ContainerConfig {
  readonly metadata: { readonly name: string; readonly attempt: number };
  readonly image: { readonly image: string };
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly envs: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly { readonly containerPath: string; readonly hostPath: string; readonly readonly: boolean }[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly logPath: string;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly linux: {
    readonly resources: {
      readonly cpuPeriod?: number;
      readonly cpuQuota?: number;
      readonly cpuShares: number;
      readonly memoryLimitInBytes?: number;
      readonly oomScoreAdj: number;
    };
    readonly securityContext: {
      readonly capabilities: { readonly addCapabilities: readonly string[]; readonly dropCapabilities: readonly string[] };
      readonly privileged: false;
      readonly namespaceOptions: NamespaceOptions;
      readonly runAsUsername: string;
      readonly readonlyRootfs: boolean;
      readonly supplementalGroups: readonly number[];
      readonly noNewPrivs: boolean;
      readonly maskedPaths: readonly string[];
      readonly readonlyPaths: readonly string[];
      readonly seccomp: SecurityProfile;
      readonly apparmor?: SecurityProfile;
    };
  };
}

export type ContainerStateName = "CONTAINER_CREATED" | "CONTAINER_RUNNING" | "CONTAINER_EXITED" | "CONTAINER_UNKNOWN";

export interface ContainerItem {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number } | null;
  readonly imageRef: string;
  readonly state: ContainerStateName;
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ContainerStatusMessage {
  readonly id: string;
  readonly metadata: { readonly name: string; readonly attempt: number } | null;
  readonly state: ContainerStateName;
  readonly createdAt: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absolute; empty where there is none. */
  readonly logPath: string;
}

export interface ContainerStatsMessage {
  readonly attributes: { readonly id: string } | null;
  readonly writableLayer: { readonly usedBytes: { readonly value: string } | null; readonly inodesUsed: { readonly value: string } | null } | null;
}

export interface CriImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly size: string;
}

export interface AnyMessage {
  readonly type_url: string;
  readonly value: Buffer;
}

export interface Envelope {
  readonly namespace: string;
  readonly topic: string;
  readonly event: AnyMessage | null;
}

/** One image name of containerd's own store. */
export interface NamedImage {
  readonly name: string;
  readonly target: { readonly digest: string } | null;
  readonly createdAt: { readonly seconds: string } | null;
  readonly updatedAt: { readonly seconds: string } | null;
}

export interface Lease {
  readonly id: string;
  readonly createdAt: { readonly seconds: string; readonly nanos: number } | null;
}
