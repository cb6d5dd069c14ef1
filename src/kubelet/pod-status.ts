import type { V1Container, V1ContainerStatus, V1EphemeralContainer, V1Pod, V1PodCondition, V1PodStatus } from "@kubernetes/client-node";
import type { ContainerEnd, ContainerStatus, StartFailure, StopReason, WorkloadStatus } from "../contracts/engine.ts";
import { isEviction, isPodsEnd } from "./plan-pod.ts";
import type { PodPlacement } from "./records.ts";

/** The kubelet's rules for what a pod's status says. All pure. */

export interface StatusParts {
  readonly pod: V1Pod;
  readonly placement: PodPlacement;
  /** Of the workload that runs it now; `undefined`: none does yet. */
  readonly workload: WorkloadStatus | undefined;
  readonly nowMs: number;
}

/** What of a pod's status is the node side's. Times are ISO 8601. */
export type WrittenStatus = Omit<
  V1PodStatus,
  "startTime" | "containerStatuses" | "initContainerStatuses" | "ephemeralContainerStatuses" | "conditions"
> & {
  readonly startTime: string;
  readonly conditions: readonly WrittenCondition[];
  readonly containerStatuses: readonly WrittenContainer[];
  readonly initContainerStatuses?: readonly WrittenContainer[];
  readonly ephemeralContainerStatuses?: readonly WrittenContainer[];
};

export type WrittenCondition = Pick<V1PodCondition, "type" | "status" | "reason" | "message" | "observedGeneration"> & {
  readonly lastTransitionTime: string;
};
type Terminated = {
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
};
export interface WrittenContainer extends Pick<
  V1ContainerStatus,
  "name" | "image" | "imageID" | "containerID" | "ready" | "started" | "restartCount"
> {
  readonly state: {
    readonly waiting?: { readonly reason: string; readonly message?: string };
    readonly running?: { readonly startedAt: string };
    readonly terminated?: Terminated;
  };
  readonly lastState: { readonly terminated?: Terminated };
}

export type Phase = "Pending" | "Running" | "Succeeded" | "Failed";

/** The whole status, as the node side writes it. */
export function podStatus(parts: StatusParts): WrittenStatus {
  const { pod, placement, workload } = parts;
  const inits = containersOf(pod.spec?.initContainers ?? [], parts, true);
  const mains = containersOf(pod.spec?.containers ?? [], parts, !areInitialized(pod, inits));
  const phase = phaseOf(parts, inits, mains);
  const { address = "" } = placement;
  return {
    phase,
    ...(placement.isLost === true ? NODE_LOST : ownReason(workload?.stop)),
    hostIP: address,
    hostIPs: [{ ip: address }],
    ...(workload?.connectivityAtMs !== undefined && { podIP: address, podIPs: [{ ip: address }] }),
    startTime: iso(placement.startedAtMs),
    qosClass: pod.status?.qosClass,
    ...observedGeneration(pod),
    conditions: conditionsOf(parts, { phase, inits, mains }),
    ...(inits.length > 0 && { initContainerStatuses: inits }),
    containerStatuses: mains,
    ...(pod.spec?.ephemeralContainers !== undefined && { ephemeralContainerStatuses: debuggersOf(pod.spec.ephemeralContainers, parts) }),
  };
}

const NODE_LOST = { reason: "NodeLost", message: "The host that ran the pod was restarted, or is another one now, and the node of the pod was lost" };
/** Of the pod garbage collector, in whose place the node side deletes such a pod. */
const DELETED_WITH_NODE: Said = { status: "True", reason: "DeletionByPodGC", message: "PodGC: node no longer exists" };

/** Ends that are said of the pod, not of its containers. */
function ownReason(stop: StopReason | undefined): Pick<V1PodStatus, "reason" | "message"> {
  if (stop?.code === "DeadlineExceeded") return { reason: "DeadlineExceeded", message: stop.reason };
  return isEviction(stop) ? { reason: "Evicted", message: stop?.reason } : {};
}

/** They have no part in the phase and in readiness. Of one whose workload was followed by another, what it came to stays. */
function debuggersOf(specs: readonly V1EphemeralContainer[], parts: StatusParts): readonly WrittenContainer[] {
  return specs.map((spec) => {
    const before = parts.pod.status?.ephemeralContainerStatuses?.find(({ name }) => name === spec.name);
    const isKnown = parts.workload?.containers.some(({ name }) => name === spec.name) ?? false;
    if (!isKnown && before?.state?.terminated !== undefined) return JSON.parse(JSON.stringify(before)) as WrittenContainer;
    return { ...containerStatus(spec, parts, false), ready: false };
  });
}

function containersOf(specs: readonly V1Container[], parts: StatusParts, initializing: boolean): readonly WrittenContainer[] {
  return specs.map((spec) => containerStatus(spec, parts, initializing));
}

function containerStatus(spec: V1Container, { pod, placement, workload, nowMs }: StatusParts, initializing: boolean): WrittenContainer {
  const observed = workload?.containers.find(({ name }) => name === spec.name);
  const { containerStatuses = [], initContainerStatuses = [], ephemeralContainerStatuses = [] } = pod.status ?? {};
  const before = [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === spec.name);
  const isOver = workload?.state === "STOPPED";
  const isInit = pod.spec?.initContainers?.some(({ name }) => name === spec.name) ?? false;
  const isFresh = nowMs - (observed?.finishedAtMs ?? 0) < FRESH_MS;
  const isEnding = isOver || (workload !== undefined && isPodsEnd(workload));
  const state = stateOf(spec, { observed, placement, pod, isOver, isEnding, waits: initializing && !isInit, isFresh });
  const restartCount = (placement.restarts[spec.name] ?? 0) + (observed?.restartCount ?? 0);
  const isRunning = state.running !== undefined;
  return {
    name: spec.name,
    image: spec.image ?? "",
    imageID: observed?.imageDigest === undefined ? (before?.imageID ?? "") : `${nameOf(spec.image ?? "")}@${observed.imageDigest}`,
    ...(observed?.runtimeId !== undefined &&
      (observed.startedAtMs !== undefined || observed.createdAtMs !== undefined) && { containerID: `containerd://${observed.runtimeId}` }),
    // An init container is ready when it has done its work.
    ready: isInit && spec.restartPolicy !== "Always" ? state.terminated?.exitCode === 0 : isRunning && observed?.ready === true,
    started: isRunning && observed?.started !== false,
    restartCount,
    state,
    lastState: lastState(before, { state, observed, restartCount, earlier: placement.lastEnds?.[spec.name] }),
  };
}

interface StateParts extends Pick<StatusParts, "pod" | "placement"> {
  readonly observed: ContainerStatus | undefined;
  readonly isOver: boolean;
  /** The pod is to end: nothing is started any more. */
  readonly isEnding: boolean;
  /** Its end, or failed start, was a moment ago. */
  readonly isFresh: boolean;
  /** For the init containers before it. */
  readonly waits: boolean;
}

function stateOf(spec: V1Container, { observed, placement, pod, isOver, isEnding, waits, isFresh }: StateParts): WrittenContainer["state"] {
  if (observed?.state === "RUNNING") return { running: { startedAt: iso(observed.startedAtMs ?? placement.startedAtMs) } };
  const ended = observed === undefined ? undefined : endOf(observed);
  if (ended !== undefined) {
    if (isEnding || !willRestart(spec, pod, ended.exitCode)) return { terminated: ended };
    if (isFresh && observed?.startFailure !== undefined) return { waiting: { reason: "RunContainerError", message: observed.startFailure.words } };
    return { waiting: { reason: "CrashLoopBackOff", message: `back-off restarting failed container=${spec.name} pod=${called(pod)}` } };
  }
  if (observed?.startFailure !== undefined && !isOver && !waits) return { waiting: waitingFor(spec.image ?? "", observed.startFailure, isFresh) };
  if (isOver)
    return {
      terminated: { exitCode: 137, reason: "ContainerStatusUnknown", message: "The container could not be located when the pod was terminated" },
    };
  if (waits) return { waiting: { reason: "PodInitializing" } };
  const usual = (pod.spec?.initContainers ?? []).length > 0 ? "PodInitializing" : "ContainerCreating";
  const { reason = usual, message } = placement.waiting ?? {};
  return { waiting: { reason, ...(message !== undefined && { message }) } };
}

/** How its newest attempt ended, if it ran, or if the runtime could not start it. */
function endOf(observed: ContainerStatus): Terminated | undefined {
  return observed.state === "STOPPED" ? terminatedOf(observed) : undefined;
}

/** As containerd gives it to what it could not start. */
const COULD_NOT_START = 128;

/** What it waits for, after a try that failed before there was a container. */
function waitingFor(image: string, { step, words }: StartFailure, isFresh: boolean): { readonly reason: string; readonly message: string } {
  switch (step) {
    case "image-name":
      return { reason: "InvalidImageName", message: `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${words}` };
    case "image-absent":
      return { reason: "ErrImageNeverPull", message: `Container image "${image}" is not present with pull policy of Never` };
    case "pull":
      if (isFresh) return { reason: "ErrImagePull", message: words };
      return { reason: "ImagePullBackOff", message: `Back-off pulling image "${image}": ErrImagePull: ${words}` };
    case "config":
      return { reason: "CreateContainerConfigError", message: words };
    case "create":
    case "start":
      break;
  }
  return { reason: "CreateContainerError", message: words };
}

/** How long a failed try is called after its failure, before it is called after the back-off. */
const FRESH_MS = 2000;

/** Whether the status is another one in a moment, though nothing happens. Pure. */
export function hasFreshFailure({ initContainerStatuses = [], containerStatuses }: WrittenStatus): boolean {
  return [...initContainerStatuses, ...containerStatuses].some(({ state }) => /^(ErrImagePull|RunContainerError)$/.test(state.waiting?.reason ?? ""));
}

function terminatedOf(end: Omit<ContainerEnd, "attempt">): Terminated | undefined {
  const { exitCode, reason = "", startFailure, startedAtMs, finishedAtMs, terminationMessage } = end;
  const finishedAt = finishedAtMs === undefined ? {} : { finishedAt: iso(finishedAtMs) };
  if (startFailure?.step === "start") return { exitCode: COULD_NOT_START, reason: "StartError", message: startFailure.words, ...finishedAt };
  if (exitCode === undefined) return undefined;
  return {
    exitCode,
    reason: reason.startsWith("OutOfMemoryError") ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error",
    ...(terminationMessage !== undefined && { message: terminationMessage }),
    ...(startedAtMs !== undefined && { startedAt: iso(startedAtMs) }),
    ...finishedAt,
  };
}

interface LastStateParts {
  readonly state: WrittenContainer["state"];
  readonly observed: ContainerStatus | undefined;
  readonly restartCount: number;
  /** In the workload before this one. */
  readonly earlier: ContainerEnd | undefined;
}

/** What the run before this one ended with. */
function lastState(before: V1ContainerStatus | undefined, { state, observed, restartCount, earlier }: LastStateParts): WrittenContainer["lastState"] {
  const newest = state.waiting === undefined || observed === undefined ? undefined : endOf(observed);
  const end = observed?.lastEnd ?? earlier;
  const terminated = newest ?? (end === undefined ? undefined : terminatedOf(end));
  if (terminated !== undefined) return { terminated };
  if (before === undefined || restartCount === 0) return {};
  // Of a workload whose record is older than this part of it.
  const known = restartCount > before.restartCount ? (before.state?.terminated ?? before.lastState?.terminated) : before.lastState?.terminated;
  // What the watch gave is JSON already, what a list gave holds dates.
  return known === undefined ? {} : { terminated: JSON.parse(JSON.stringify(known)) as Terminated };
}

function willRestart(spec: V1Container, pod: V1Pod, exitCode: number): boolean {
  if (pod.spec?.ephemeralContainers?.some(({ name }) => name === spec.name)) return false;
  const isInit = pod.spec?.initContainers?.includes(spec) ?? false;
  if (isInit && spec.restartPolicy === "Always") return true;
  const rules = spec.restartPolicyRules ?? [];
  if (rules.some(({ exitCodes }) => exitCodes !== undefined && exitCodes.values?.includes(exitCode) === (exitCodes.operator === "In"))) return true;
  const policy = spec.restartPolicy ?? pod.spec?.restartPolicy ?? "Always";
  return (policy === "Always" && !isInit) || (policy !== "Never" && exitCode !== 0);
}

function areInitialized({ spec }: V1Pod, inits: readonly WrittenContainer[]): boolean {
  return (spec?.initContainers ?? []).every((container) =>
    isDone(
      container,
      inits.find(({ name }) => name === container.name),
    ),
  );
}

/** A sidecar: it runs. Another init container: it ended well. */
function isDone(container: V1Container, status: WrittenContainer | undefined): boolean {
  return container.restartPolicy === "Always" ? status?.started === true : status?.state.terminated?.exitCode === 0;
}

/** The kubelet's `getPhase`: the first rule that holds. Terminal phases stay. */
function phaseOf({ pod, placement, workload }: StatusParts, inits: readonly WrittenContainer[], mains: readonly WrittenContainer[]): Phase {
  const before = pod.status?.phase;
  if (before === "Succeeded" || before === "Failed") return before;
  if (placement.isLost === true) return "Failed";
  const isOver = workload?.state === "STOPPED";
  if (isOver && (workload.stop?.code === "DeadlineExceeded" || isEviction(workload.stop))) return "Failed";
  const ordinary = inits.filter(({ name }) => pod.spec?.initContainers?.find((each) => each.name === name)?.restartPolicy !== "Always");
  if (ordinary.some(({ state }) => (state.terminated?.exitCode ?? 0) !== 0) && (isOver || pod.spec?.restartPolicy === "Never")) return "Failed";
  if (!isOver && !areInitialized(pod, inits)) return "Pending";
  if (mains.some(({ state, lastState }) => state.waiting !== undefined && lastState.terminated === undefined)) return "Pending";
  if (mains.some(({ state }) => state.running !== undefined)) return "Running";
  if (!isOver && mains.some(({ state }) => state.waiting !== undefined)) return "Running";
  return mains.every(({ state }) => state.terminated?.exitCode === 0) ? "Succeeded" : "Failed";
}

interface Summary {
  readonly phase: Phase;
  readonly inits: readonly WrittenContainer[];
  readonly mains: readonly WrittenContainer[];
}

function conditionsOf(parts: StatusParts, { phase, inits, mains }: Summary): readonly WrittenCondition[] {
  const { pod, workload } = parts;
  const incomplete = (pod.spec?.initContainers ?? []).filter(
    (spec) =>
      !isDone(
        spec,
        inits.find(({ name }) => name === spec.name),
      ),
  );
  const sidecars = inits.filter(({ name }) => pod.spec?.initContainers?.find((each) => each.name === name)?.restartPolicy === "Always");
  const unready = [...sidecars, ...mains].filter(({ ready }) => !ready).map(({ name }) => name);
  const isTerminal = phase === "Succeeded" || phase === "Failed";
  const containers: Said = isTerminal
    ? { status: "False", reason: phase === "Succeeded" ? "PodCompleted" : "PodFailed" }
    : unready.length > 0
      ? { status: "False", reason: "ContainersNotReady", message: `containers with unready status: [${unready.join(" ")}]` }
      : { status: "True" };
  const hasSandbox = workload?.connectivityAtMs !== undefined && workload.state !== "STOPPED";
  const initialized: Said =
    incomplete.length === 0 || phase === "Succeeded"
      ? { status: "True", ...(phase === "Succeeded" && { reason: "PodCompleted" }) }
      : {
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${incomplete.map(({ name }) => name).join(" ")}]`,
        };
  return [
    condition(parts, "PodReadyToStartContainers", { status: hasSandbox ? "True" : "False" }),
    condition(parts, "Initialized", initialized),
    condition(parts, "Ready", containers.status === "True" ? gatesOf(pod) : containers),
    condition(parts, "ContainersReady", containers),
    condition(parts, "PodScheduled", { status: "True" }),
    ...(parts.placement.isLost === true ? [condition(parts, "DisruptionTarget", DELETED_WITH_NODE)] : []),
    ...(isEviction(workload?.stop) ? [condition(parts, "DisruptionTarget", disruption(workload?.stop))] : []),
  ];
}

function disruption(stop: StopReason | undefined): Said {
  return { status: "True", reason: "TerminationByKubelet", message: stop?.reason };
}

type Said = Pick<V1PodCondition, "reason" | "message"> & { readonly status: "True" | "False" };

function gatesOf({ spec, status }: V1Pod): Said {
  for (const { conditionType } of spec?.readinessGates ?? []) {
    const found = status?.conditions?.find(({ type }) => type === conditionType)?.status;
    if (found === "True") continue;
    const words =
      found === undefined
        ? `corresponding condition of pod readiness gate "${conditionType}" does not exist.`
        : `the status of pod readiness gate "${conditionType}" is not "True", but ${found}`;
    return { status: "False", reason: "ReadinessGatesNotReady", message: words };
  }
  return { status: "True" };
}

/** Its time moves only when its status does. */
function condition({ pod, nowMs }: StatusParts, type: string, said: Said): WrittenCondition {
  const before = pod.status?.conditions?.find((each) => each.type === type);
  const kept = before?.status === said.status ? before.lastTransitionTime : undefined;
  return {
    type,
    ...said,
    ...observedGeneration(pod),
    lastTransitionTime: kept === undefined ? iso(nowMs) : (JSON.parse(JSON.stringify(kept)) as string),
  };
}

/** Of the pod that the status is about. */
function observedGeneration({ metadata }: V1Pod): { readonly observedGeneration?: number } {
  return metadata?.generation === undefined ? {} : { observedGeneration: metadata.generation };
}

/** Kubernetes keeps seconds. */
function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function nameOf(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
}

function called({ metadata }: V1Pod): string {
  return `${metadata?.name}_${metadata?.namespace}(${metadata?.uid})`;
}
