import type { CoreV1Event, V1Pod } from "@kubernetes/client-node";
import type { Complaint, StartFailure, WorkloadStatus } from "../contracts/engine.ts";
import type { WrittenContainer, WrittenStatus } from "./pod-status.ts";

export interface PodEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** Which container's. */
  readonly container?: string;
  readonly from?: "kubelet" | "fargate-scheduler";
}

/** An event about a pod as Kubernetes keeps it. `suffix`: 16 hex. */
export function eventObject(pod: V1Pod, event: PodEvent, { suffix, nowMs }: { readonly suffix: string; readonly nowMs: number }): CoreV1Event {
  const { name, namespace, uid } = pod.metadata ?? {};
  const { type, reason, message, container, from = "kubelet" } = event;
  const kinds = ["initContainers", "ephemeralContainers"] as const;
  const kind = kinds.find((each) => pod.spec?.[each]?.some(({ name: its }) => its === container)) ?? "containers";
  const at = new Date(nowMs);
  return {
    metadata: { name: `${name}.${suffix}`, namespace },
    involvedObject: {
      apiVersion: "v1",
      kind: "Pod",
      name,
      namespace,
      uid,
      ...(container !== undefined && { fieldPath: `spec.${kind}{${container}}` }),
    },
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component: from, ...(from === "kubelet" && { host: pod.spec?.nodeName }) },
    reportingComponent: from,
    reportingInstance: from === "kubelet" ? (pod.spec?.nodeName ?? "") : "",
  };
}

interface Waiting {
  readonly name: string;
  readonly image: string;
  readonly reason: string;
  readonly message: string;
}

/** A try that failed before there was a container, as the kubelet tells it. */
function failedTry({ name, image, reason, message }: Waiting, { words }: StartFailure): readonly PodEvent[] {
  const warning = (of: string, said: string): PodEvent => ({ type: "Warning", reason: of, message: said, container: name });
  const normal = (of: string, said: string): PodEvent => ({ type: "Normal", reason: of, message: said, container: name });
  switch (reason) {
    case "ErrImagePull":
      return [
        normal("Pulling", `Pulling image "${image}"`),
        warning("Failed", `Failed to pull image "${image}": ${words}`),
        warning("Failed", "Error: ErrImagePull"),
      ];
    case "ImagePullBackOff":
      return [normal("BackOff", `Back-off pulling image "${image}"`), warning("Failed", "Error: ImagePullBackOff")];
    case "ErrImageNeverPull":
      return [warning("ErrImageNeverPull", message), warning("Failed", "Error: ErrImageNeverPull")];
    case "InvalidImageName":
      return [warning("InspectFailed", message), warning("Failed", "Error: InvalidImageName")];
    default:
      return [warning("Failed", `Error: ${message}`)];
  }
}

/** What the kubelet tells of a probe or a hook that failed. */
function complained(pod: V1Pod, name: string, { about, words, ends = false }: Complaint): readonly PodEvent[] {
  const warning = (reason: string, message: string): PodEvent => ({ type: "Warning", reason, message, container: name });
  if (about === "preStop") return [warning("FailedPreStopHook", "PreStopHook failed")];
  const isInit = pod.spec?.initContainers?.some((each) => each.name === name) ?? false;
  const killing = (why: string): PodEvent => ({
    type: "Normal",
    reason: "Killing",
    message: `${isInit ? "Init container" : "Container"} ${name} ${why}`,
    container: name,
  });
  if (about === "postStart") return [warning("FailedPostStartHook", "PostStartHook failed"), killing("failed postStart hook, will be restarted")];
  const title = `${about.charAt(0).toUpperCase()}${about.slice(1)}`;
  return [warning("Unhealthy", `${title} probe failed: ${words}`), ...(ends ? [killing(`failed ${about} probe, will be restarted`)] : [])];
}

export interface News {
  readonly events: readonly PodEvent[];
  readonly told: Readonly<Record<string, string>>;
}

interface Look {
  readonly pod: V1Pod;
  readonly status: WrittenStatus;
  readonly workload: Pick<WorkloadStatus, "containers"> | undefined;
}

/** What a status says that was not told yet, each once for each restart. Pure. */
export function newsOf({ pod, status, workload }: Look, told: News["told"]): News {
  const events: PodEvent[] = [];
  const now: Record<string, string> = { ...told };
  const tell = (topic: string, value: string, ...said: readonly PodEvent[]): void => {
    if (now[topic] === value) return;
    now[topic] = value;
    events.push(...said);
  };
  for (const { name, image, state, restartCount } of allOf(status)) {
    const count = String(restartCount);
    const observed = workload?.containers.find((each) => each.name === name);
    const tried = String(observed?.finishedAtMs ?? 0);
    const ran = state.running !== undefined || state.terminated?.startedAt !== undefined || state.waiting?.reason === "CrashLoopBackOff";
    if (ran) {
      tell(
        `started/${name}`,
        count,
        { type: "Normal", reason: "Pulling", message: `Pulling image "${image}"`, container: name },
        { type: "Normal", reason: "Pulled", message: `Successfully pulled image "${image}"`, container: name },
        { type: "Normal", reason: "Created", message: "Container created", container: name },
        { type: "Normal", reason: "Started", message: "Container started", container: name },
      );
    }
    if (observed?.complaint !== undefined)
      tell(`complaint/${name}`, `${count}/${JSON.stringify(observed.complaint)}`, ...complained(pod, name, observed.complaint));
    const { reason, message = "" } = state.waiting ?? {};
    if (reason === "CrashLoopBackOff") {
      const words = `Back-off restarting failed container ${name} in pod ${pod.metadata?.name}_${pod.metadata?.namespace}(${pod.metadata?.uid})`;
      tell(`backoff/${name}`, count, { type: "Warning", reason: "BackOff", message: words, container: name });
    } else if (observed?.startFailure !== undefined && reason !== undefined) {
      tell(`failed/${name}`, `${tried}/${reason}`, ...failedTry({ name, image, reason, message }, observed.startFailure));
    } else if (message !== "") {
      tell(`failed/${name}`, message, { type: "Warning", reason: "Failed", message: `Error: ${message}`, container: name });
    }
  }
  if (status.reason !== undefined) tell("end", status.reason, { type: "Warning", reason: status.reason, message: status.message ?? "" });
  return { events, told: now };
}

function allOf({ initContainerStatuses = [], containerStatuses, ephemeralContainerStatuses = [] }: WrittenStatus): readonly WrittenContainer[] {
  return [...initContainerStatuses, ...containerStatuses, ...ephemeralContainerStatuses];
}
