import type { LogSink } from "../../../contracts/workload.ts";
import type { ClusterRecord } from "../records.ts";

/** The control plane's logs, in the order that AWS names them. */
export const LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"] as const;
export type LogType = (typeof LOG_TYPES)[number];

/** Where AWS writes them. */
export function logGroupOf({ name }: Pick<ClusterRecord, "name">): string {
  return `/aws/eks/${name}/cluster`;
}

/** Tidegate is the authenticator: its stream outlives the control plane's workloads. */
export function authenticatorStream({ uid }: Pick<ClusterRecord, "uid">): string {
  return `authenticator-${uid}`;
}

export interface LoggingParts {
  readonly cluster: ClusterRecord;
  /** 32 hex: what a new control plane writes goes to new streams. */
  readonly workloadId: string;
}

/** Of each program, by its container's name. Audit is what the API server writes to standard output; its own log is on standard error. Pure. */
export function logSinks({ cluster, workloadId }: LoggingParts): Readonly<Record<string, LogSink>> {
  const types = cluster.logging ?? [];
  const to = (program: string): LogSink & { readonly type: "awslogs" } => ({
    type: "awslogs",
    account: cluster.account,
    region: cluster.region,
    group: logGroupOf(cluster),
    stream: `${program}-${workloadId}`,
    createGroup: true,
  });
  const [api, audit] = ["kube-apiserver", "kube-apiserver-audit"].map(to);
  return {
    ...(types.includes("api") && api !== undefined && { "kube-apiserver": api }),
    ...(types.includes("audit") &&
      api !== undefined &&
      audit !== undefined && {
        "kube-apiserver": types.includes("api") ? { ...api, stdoutStream: audit.stream } : { ...audit, dropsStderr: true },
      }),
    ...(types.includes("controllerManager") && { "kube-controller-manager": to("kube-controller-manager") }),
    ...(types.includes("scheduler") && { "kube-scheduler": to("kube-scheduler") }),
  };
}

/** Whether two choices of logs are the same. Pure. */
export function sameLogs(one: readonly LogType[] = [], other: readonly LogType[] = []): boolean {
  return LOG_TYPES.every((type) => one.includes(type) === other.includes(type));
}

/** As DescribeCluster shows them: those that are on, those that are off. Pure. */
export function loggingView(on: readonly LogType[] = []): { clusterLogging: { types: LogType[]; enabled: boolean }[] } {
  const [enabled, disabled] = [true, false].map((wanted) => LOG_TYPES.filter((type) => on.includes(type) === wanted));
  return {
    clusterLogging: [
      ...(enabled?.length ? [{ types: enabled, enabled: true }] : []),
      ...(disabled?.length ? [{ types: disabled, enabled: false }] : []),
    ],
  };
}

/** What is on after a request: types that it does not name stay as they are. Pure. */
export function changeLogs(
  before: readonly LogType[] = [],
  asked: readonly { readonly types?: readonly string[]; readonly enabled?: boolean }[] = [],
): readonly LogType[] {
  return asked.reduce<readonly LogType[]>(
    (on, { types = [], enabled = false }) => LOG_TYPES.filter((type) => (types.includes(type) ? enabled : on.includes(type))),
    before,
  );
}
