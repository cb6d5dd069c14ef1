/** What is seen of a roll-out in Kubernetes. */

export interface DeploymentView {
  readonly metadata: { readonly generation?: number; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: { readonly replicas?: number; readonly template: unknown };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[];
  };
}

export interface PodView {
  readonly metadata: { readonly name: string; readonly creationTimestamp?: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly name: string; readonly image?: string }[] };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string; readonly message?: string }[];
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly restartCount: number;
      readonly state?: { readonly waiting?: { readonly reason?: string; readonly message?: string } };
      readonly lastState?: { readonly terminated?: { readonly exitCode?: number; readonly reason?: string } };
    }[];
  };
}

/** `unready`: a pod that runs, and does not become ready. */
export type DeploymentEnd =
  | { readonly kind: "steady" | "rolling" }
  | { readonly kind: "failed"; readonly reason: string; readonly pod?: string; readonly unready?: PodView };

export interface EventView {
  readonly reason?: string;
  readonly message?: string;
}

/** A restart may be an accident. */
const RESTARTS = 2;
/** Reasons that do not pass by themselves. */
const HOPELESS = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/** `pods`: those of the new image. Pure. */
export function judgeDeployment({ spec, metadata, status }: DeploymentView, pods: readonly PodView[]): DeploymentEnd {
  const failed = pods.flatMap((pod) => faultOf(pod) ?? []);
  const [first] = failed;
  if (first !== undefined) return { kind: "failed", ...first };
  if (status === undefined || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) return { kind: "rolling" };
  const stuck = status.conditions?.find(({ type, reason }) => type === "Progressing" && reason === "ProgressDeadlineExceeded");
  if (stuck !== undefined) {
    const unready = pods.find((pod) => pod.status?.conditions?.some(({ type, status: is }) => type === "Ready" && is !== "True"));
    return {
      kind: "failed",
      reason: `The pods do not become ready: ${stuck.message}`,
      ...(unready !== undefined && { pod: unready.metadata.name, unready }),
    };
  }
  const wanted = spec.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  return { kind: updatedReplicas === wanted && availableReplicas === wanted && replicas === wanted ? "steady" : "rolling" };
}

function faultOf({ metadata, status }: PodView): { readonly reason: string; readonly pod: string } | undefined {
  if (metadata.deletionTimestamp !== undefined) return undefined;
  const pod = metadata.name;
  const place = status?.conditions?.find(({ type, status: is }) => type === "PodScheduled" && is === "False");
  if (place !== undefined) return { pod, reason: `The pod ${pod} finds no place: ${place.message ?? place.reason}` };
  for (const { name, restartCount, state, lastState } of status?.containerStatuses ?? []) {
    const { reason = "", message } = state?.waiting ?? {};
    const { exitCode, reason: ended } = lastState?.terminated ?? {};
    const exit = exitCode === undefined ? "" : `, exit code ${exitCode}${ended === undefined || ended === "Error" ? "" : ` (${ended})`}`;
    if (HOPELESS.has(reason)) return { pod, reason: `The pod ${pod} does not start: ${reason}: ${message ?? "no reason is known"}` };
    if (restartCount >= RESTARTS)
      return { pod, reason: `The container ${name} of the pod ${pod} starts, but ends again: ${restartCount} restarts so far${exit}` };
  }
  return undefined;
}

/** Why a pod that runs is not ready, and what to do; `events` are the pod's. Pure. */
export function explainUnready(
  { metadata, status }: PodView,
  { events, port, healthPath }: { readonly events: readonly EventView[]; readonly port: number | undefined; readonly healthPath: string },
): string {
  const probe = events.findLast(({ reason }) => reason === "Unhealthy")?.message;
  const condition = status?.conditions?.find(({ type, status: is }) => type === "Ready" && is !== "True")?.message;
  const why = probe ?? condition;
  const lines = [
    ...(why === undefined ? [] : [`The pod ${metadata.name}: ${why}`]),
    ...(port === undefined
      ? []
      : [
          `Does the app listen on port ${port}, on all addresses and not on 127.0.0.1 alone, and answer ${healthPath} with a status below 400? ` +
            "`--port` and `--health-path` say what is asked.",
        ]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** One line on how far it is. Pure. */
export function describeDeployment({ spec, status }: DeploymentView): string {
  const { replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = status ?? {};
  const old = replicas - updatedReplicas;
  return [`${Math.min(readyReplicas, updatedReplicas)} of ${spec.replicas ?? 1} running`, ...(old > 0 ? [`${old} of the revision before`] : [])].join(
    ", ",
  );
}
