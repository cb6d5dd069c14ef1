/**
 * What the compute layer runs: an ECS task or a Kubernetes pod, compiled. Plain JSON, stored whole with the workload. Nothing in it names
 * ECS or Kubernetes concepts beyond what both share; `labels` carry the owner's own identifiers.
 */

/** `init` containers run one after another before the rest; `sidecar`s start before and stop after the main ones; `ephemeral` ones are debuggers. */
export type ContainerKind = "init" | "sidecar" | "main" | "ephemeral";

/** When a container may start, with respect to another of the same workload. */
export interface StartCondition {
  readonly container: string;
  readonly condition: "started" | "completed" | "succeeded" | "healthy";
}

export interface RestartRule {
  readonly policy: "never" | "on-failure" | "always";
  /** Exit codes that lead to a restart whatever the policy is. */
  readonly exitCodeRules?: readonly { readonly operator: "In" | "NotIn"; readonly values: readonly number[] }[];
  /** Exit codes that do not lead to a restart under `on-failure` and `always`. */
  readonly ignoredExitCodes?: readonly number[];
  /** Restart only if it ran at least this long (ECS restartAttemptPeriod). */
  readonly minimumRunSeconds?: number;
  /** Exponential back-off between restarts (Kubernetes); none where left out. */
  readonly backoff?: { readonly initialSeconds: number; readonly maximumSeconds: number; readonly resetAfterSeconds: number };
}

export type ProbeAction =
  | { readonly type: "exec"; readonly command: readonly string[] }
  | {
      readonly type: "http";
      readonly port: number;
      readonly path: string;
      readonly scheme: "http" | "https";
      readonly headers?: readonly NameValue[];
      readonly host?: string;
    }
  | { readonly type: "tcp"; readonly port: number; readonly host?: string }
  | { readonly type: "grpc"; readonly port: number; readonly service?: string }
  /** Hooks only: nothing, for so long. */
  | { readonly type: "sleep"; readonly seconds: number };

export interface Probe {
  readonly action: ProbeAction;
  readonly initialDelaySeconds: number;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
  readonly successThreshold: number;
  /** Of a container that it condemns, in the place of its own. */
  readonly stopTimeoutSeconds?: number;
}

export interface Probes {
  /** ECS healthCheck: decides the container's health; failures in the start period do not count. */
  readonly health?: Probe & { readonly startPeriodSeconds: number };
  readonly startup?: Probe;
  readonly readiness?: Probe;
  readonly liveness?: Probe;
}

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

/**
 * An environment variable or file content: a literal, or a named producer that is asked once the workload's address is known, e.g.
 * `{producer: "pod-ip"}`. Producers are registered with the compute layer by name; an unknown one fails the start with words.
 */
export type Produced = { readonly value: string } | { readonly producer: string; readonly argument?: string };

export type EnvironmentVariable = { readonly name: string } & Produced;

export interface Mount {
  readonly volume: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
  readonly subPath?: string;
}

export interface Ulimit {
  /** Without `RLIMIT_`, lower case: `nofile`, `nproc` … */
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** Where a container's output goes. `none` keeps nothing; `file`: the last of it in files of bounded size, as a kubelet keeps it. */
export type LogSink =
  | { readonly type: "none" }
  /** `ship`: and each line goes to CloudWatch Logs, as far as that can take it before the files go. */
  | { readonly type: "file"; readonly ship?: LogShipping }
  | {
      readonly type: "awslogs";
      readonly account: string;
      readonly region: string;
      readonly group: string;
      readonly stream: string;
      readonly createGroup: boolean;
      readonly datetimeFormat?: string;
      readonly multilinePattern?: string;
      /** Where standard output goes instead; `stream` is standard error's then. */
      readonly stdoutStream?: string;
      /** Standard error is read and dropped. */
      readonly dropsStderr?: boolean;
    };

/** Where lines go, and as what. A group that is not there and is not to be made takes none. */
export interface LogShipping {
  readonly account: string;
  readonly region: string;
  readonly group: string;
  /** `{containerId}` stands for the container's own id. */
  readonly stream: string;
  readonly createGroup: boolean;
  /** Of a group that is made. */
  readonly retentionDays?: number;
  readonly format: LogRecordFormat;
}

/** As Fluent Bit has it: each line is a record, which filters change. */
export interface LogRecordFormat {
  readonly filters: readonly LogFilter[];
  /** Of the record only this is written, as text; else all of it, as JSON. */
  readonly logKey?: string;
  /** What the filter `kubernetes` adds. */
  readonly kubernetes?: Readonly<Record<string, unknown>>;
}

export type LogFilter =
  | {
      readonly type: "parser";
      readonly key: string;
      readonly parser: (
        | { readonly format: "json" }
        /** The parts of a line of the CRI log that become fields: time, stream, logtag, log. */
        | { readonly format: "cri"; readonly groups: readonly string[] }
      ) & { readonly timeKey?: string };
      readonly reserveData: boolean;
      readonly preserveKey: boolean;
    }
  | { readonly type: "kubernetes"; readonly mergeLog: boolean; readonly keepLog: boolean; readonly labels: boolean; readonly annotations: boolean }
  | { readonly type: "grep"; readonly exclude: boolean; readonly key: string; readonly regex: string }
  | { readonly type: "modify"; readonly verb: "add" | "set" | "remove" | "rename"; readonly key: string; readonly value: string };

export interface ContainerSpec {
  readonly name: string;
  readonly kind: ContainerKind;
  /** As the user wrote it. */
  readonly image: string;
  /** `sha256:…` when the owner has pinned the tag already. */
  readonly imageDigest?: string;
  readonly pullPolicy: "always" | "if-not-present" | "never";
  /** Replaces the image's ENTRYPOINT. */
  readonly entryPoint?: readonly string[];
  /** Replaces the image's CMD. */
  readonly command?: readonly string[];
  readonly workingDirectory?: string;
  readonly environment: readonly EnvironmentVariable[];
  readonly mounts: readonly Mount[];
  /** The workload ends when an essential container does (ECS). Pods have none. */
  readonly essential: boolean;
  readonly dependsOn: readonly StartCondition[];
  /** How long others' conditions on this container may take, from its start, before the workload fails (ECS startTimeout). */
  readonly startTimeoutSeconds?: number;
  /** Between the stop signal and SIGKILL. */
  readonly stopTimeoutSeconds: number;
  /** e.g. `SIGQUIT`; default the image's, else SIGTERM. */
  readonly stopSignal?: string;
  readonly restart: RestartRule;
  readonly probes: Probes;
  /** Run inside the container after its start / before its stop signal. */
  readonly hooks?: { readonly postStart?: ProbeAction; readonly preStop?: ProbeAction };
  /** Relative weight (1024 = 1 vCPU); hard limits are the workload's, unless `cpuLimitUnits`. */
  readonly cpuUnits: number;
  readonly cpuLimitUnits?: number;
  /** Hard limit of this container. */
  readonly memoryMiB?: number;
  readonly memoryReservationMiB?: number;
  /** Of its own layer: a workload that has a container beyond it is evicted. */
  readonly ephemeralStorageLimit?: SizeLimit;
  /** `user[:group]`, names or ids, as in an image's USER; default the image's. */
  readonly user?: string;
  readonly supplementalGroups?: readonly number[];
  readonly addCapabilities: readonly string[];
  readonly dropCapabilities: readonly string[];
  readonly readOnlyRootFilesystem: boolean;
  readonly noNewPrivileges?: boolean;
  readonly ulimits: readonly Ulimit[];
  readonly tty: boolean;
  readonly stdin: boolean;
  /** Standard input ends with the first client that was attached to it. */
  readonly stdinOnce?: boolean;
  /** It sees the processes of this container of the workload, which must run when it is started. */
  readonly processesOf?: string;
  /** Run a small init as PID 1 (ECS initProcessEnabled). */
  readonly initProcess: boolean;
  readonly log: LogSink;
  /** A file there, made for it, holds its last words. */
  readonly terminationMessagePath?: string;
  /** The end of its log stands in for them, when it failed and left none. */
  readonly terminationMessageFromLog?: boolean;
  /** It is not made where it would run as root. */
  readonly mustNotBeRoot?: boolean;
  /** Shown by the owner's views and the metadata endpoint; not enforced. */
  readonly ports: readonly { readonly containerPort: number; readonly protocol: "tcp" | "udp"; readonly name?: string }[];
  readonly labels: Readonly<Record<string, string>>;
}

/** A limit whose excess evicts the workload; `words`: as its owner wrote it. */
export interface SizeLimit {
  readonly bytes: number;
  readonly words: string;
}

/** A file of a `files` volume; root's, unless `userId`. With the workload's fsGroup, that group may read it. Bytes that are no text are `base64`. */
export type VolumeFile = { readonly path: string; readonly mode: number; readonly userId?: number } & (Produced | { readonly base64: string });

export type VolumeSpec =
  | {
      readonly name: string;
      readonly type: "ephemeral";
      readonly sizeLimit?: SizeLimit;
      /** `memory`: a tmpfs, whose pages count as the memory of the containers that wrote them. */
      readonly medium?: "disk" | "memory";
    }
  /** May change while the workload runs (`Engine.refresh`): all of them at once, as the kubelet swaps them. */
  | { readonly name: string; readonly type: "files"; readonly files: readonly VolumeFile[] }
  /** System workloads only: a folder of the host, or one kept across restarts. */
  | { readonly name: string; readonly type: "host"; readonly path: string }
  | { readonly name: string; readonly type: "persistent"; readonly id: string };

/** One interface in a subnet, with its own address. */
export interface WorkloadNetwork {
  /** Stable id of the attachment (a UUID for ECS), also the network's idempotency token. */
  readonly attachmentId: string;
  /** The attachment is its owner's, who has allocated it: the workload is plugged into it, and leaves it where it ends, for the next one. */
  readonly kept?: boolean;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly securityGroupIds: readonly string[];
  readonly assignPublicIp: boolean;
}

export interface Workload {
  /** Unique for ever in this instance: the ECS task id (32 hex), or a pod's UID. */
  readonly id: string;
  readonly account: string;
  readonly region: string;
  readonly availabilityZone: string;
  /** e.g. `{owner: "ecs", taskArn, clusterArn, …}`; hooks and views read them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly runtimeHandler: string;
  readonly network: WorkloadNetwork;
  /** Hard limits of the whole workload. */
  readonly cpuUnits: number;
  readonly memoryMiB: number;
  readonly ephemeralStorageGiB: number;
  /** What the containers share beside the network: nothing, or one PID namespace. */
  readonly sharePidNamespace: boolean;
  readonly hostname?: string;
  /** Its full name, in its own hosts file. */
  readonly fullHostname?: string;
  readonly hosts: readonly { readonly ip: string; readonly names: readonly string[] }[];
  readonly dns?: { readonly servers: readonly string[]; readonly searches: readonly string[]; readonly options: readonly string[] };
  readonly sysctls: readonly NameValue[];
  readonly fsGroup?: number;
  readonly containers: readonly ContainerSpec[];
  readonly volumes: readonly VolumeSpec[];
  /** The role whose credentials the containers get through the metadata endpoint. */
  readonly taskRoleArn?: string;
  readonly executionRoleArn?: string;
  /** May be evicted first under host pressure. */
  readonly spot: boolean;
  /** System workloads (an EKS control plane) may use host and persistent volumes. */
  readonly system: boolean;
  /** Names of the TaskHooks, beyond the compute layer's own, that take part in this workload's life, e.g. `ecs-load-balancer`. */
  readonly hooks: readonly string[];
  readonly activeDeadlineSeconds?: number;
}
