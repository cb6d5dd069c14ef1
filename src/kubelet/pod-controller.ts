import type { V1Pod } from "@kubernetes/client-node";
import type { Controller, ReconcileResult } from "../contracts/controller.ts";
import type { ContainerEnd, ContainerStatus, StopReason, WorkloadStatus } from "../contracts/engine.ts";
import { isProblem, type Problem } from "../core/problem.ts";
import { compileDebugger, compilePod, OWNER } from "./compile-pod.ts";
import { eventObject, newsOf, type PodEvent } from "./events.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { SCHEDULER_NAME } from "./match-profile.ts";
import { tellLogging } from "./logging/pod-logging.ts";
import { nodeNameOf, nodeObject, POD_UID_ANNOTATION } from "./node-object.ts";
import { MOUNT_FAILED } from "./pod-files.ts";
import { sizeInWords } from "./pod-size.ts";
import { hasFreshFailure, podStatus } from "./pod-status.ts";
import { backoffMs, planPod, type PodAction } from "./plan-pod.ts";
import type { KubeCluster } from "./ports.ts";
import { parsePlacementKey, placementKey, PLACEMENTS, type PodPlacement, workloadIdOf } from "./records.ts";
import type { KubeletRoom } from "./room.ts";
import { refuse, schedulePod } from "./schedule-pod.ts";
import { serviceVariables } from "./services/service-variables.ts";

const STOPPED: StopReason = { code: "UserInitiated", reason: "The pod was deleted" };
const LOOK_AGAIN_MS = 2000;
const FULL_AGAIN_MS = 5000;

/** What a step works on. Without `cluster` nobody wants the pod any more. */
interface Unit {
  readonly key: string;
  readonly placement: PodPlacement;
  readonly cluster: KubeCluster | undefined;
  readonly client: KubernetesClient | undefined;
  readonly pod: V1Pod | undefined;
  readonly workload: WorkloadStatus | undefined;
  /** The one that the workload goes by. */
  readonly deadlineSeconds: number | undefined;
}

type Live = Unit & { readonly cluster: KubeCluster; readonly client: KubernetesClient; readonly pod: V1Pod };

/**
 * Runs the pods of Fargate profiles, each as one workload on a node of its own: gives a place, address and node, starts, tells Kubernetes
 * how it is, and takes all of it away. The only writer of pods' statuses. Keyed by cluster and pod UID.
 */
export function createPodController(room: KubeletRoom): Controller {
  const written = new Map<string, string>();
  return {
    name: "eks-pod",
    watches: [{ collection: PLACEMENTS, keysOf: ({ key }) => [key] }],
    sources(wake) {
      const stack = new DisposableStack();
      stack.use(room.connections);
      stack.use(room.connections.onPod(wake));
      stack.use(
        room.engine.watch(({ workload }) => {
          const { owner, clusterKey = "", podUid = "" } = workload.labels;
          if (owner === OWNER) wake(placementKey(clusterKey, podUid));
        }),
      );
      stack.use(
        room.ports.clusters.watch((clusterKey) => {
          void room.store.list(PLACEMENTS, { prefix: `${clusterKey}|` }).then((found) => found.forEach(({ key }) => wake(key)));
        }),
      );
      return stack;
    },
    initialKeys: async () => (await room.store.list(PLACEMENTS)).map(({ key }) => key),
    async reconcile(key) {
      const { clusterKey, uid } = parsePlacementKey(key);
      const cluster = await room.ports.clusters.get(clusterKey);
      const placement = (await room.store.get(PLACEMENTS, key))?.value;
      const isSame = placement === undefined || placement.clusterUid === cluster?.uid;
      const client = cluster === undefined || !isSame ? undefined : await room.connections.to(cluster);
      const pod = client?.pod(uid);
      if (placement !== undefined) {
        const view = await room.engine.get(workloadIdOf(placement));
        const deadlineSeconds = view?.workload.activeDeadlineSeconds;
        const result = await step(room, written, { key, placement, cluster, client, pod, workload: view?.status, deadlineSeconds });
        room.confirmed.add(key);
        return result;
      }
      written.delete(key);
      room.confirmed.delete(key);
      if (cluster === undefined || client === undefined || pod === undefined) return;
      if (pod.spec?.schedulerName !== SCHEDULER_NAME || pod.spec.nodeName || isDeleting(pod)) return;
      await schedulePod(room, { cluster, client, pod });
    },
  };
}

function isDeleting({ metadata }: V1Pod): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

async function step(room: KubeletRoom, written: Map<string, string>, unit: Unit): Promise<ReconcileResult | void> {
  const { placement, pod, workload } = unit;
  const action = planPod({
    ...(pod !== undefined && {
      pod: {
        isDeleting: isDeleting(pod),
        isBound: Boolean(pod.spec?.nodeName),
        isTerminal: pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed",
        restartPolicy: (pod.spec?.restartPolicy ?? "Always") as "Always" | "OnFailure" | "Never",
      },
    }),
    hasAddress: placement.address !== undefined,
    isLost: placement.isLost === true,
    isHostGone: placement.bootId !== undefined && placement.bootId !== room.bootId,
    workload,
    notBeforeMs: placement.notBeforeMs,
    nowMs: room.clock.nowMs(),
  });
  if (isLive(unit)) return carryOut(room, written, unit, action);
  if (action.do === "stop") await stop(room, unit);
  if (action.do === "remove") await remove(room, unit);
}

function isLive(unit: Unit): unit is Live {
  return unit.cluster !== undefined && unit.client !== undefined && unit.pod !== undefined;
}

/** A change of the placement wakes the controller again. */
async function carryOut(room: KubeletRoom, written: Map<string, string>, unit: Live, action: PodAction): Promise<ReconcileResult | void> {
  switch (action.do) {
    case "allocate":
      return allocate(room, unit);
    case "bind":
      return bind(room, unit);
    case "start":
      return start(room, written, unit);
    case "report":
      if (isDeleting(unit.pod)) await stop(room, unit);
      await addDebuggers(room, unit);
      await keepDeadline(room, unit);
      return report(room, written, unit);
    case "lose":
      return lose(room, written, unit);
    case "retry":
      return retry(room, unit);
    case "stop":
      await tellEnd(room, unit);
      await stop(room, unit);
      return report(room, written, unit);
    case "finish":
      await report(room, written, unit);
      return unit.client.finishDeletion(unit.pod);
    case "remove":
      return remove(room, unit);
    case "wait":
      return action.forMs === undefined ? undefined : { requeueAfterMs: action.forMs };
  }
}

async function save(room: KubeletRoom, { key, placement }: Unit, change: Partial<PodPlacement>): Promise<PodPlacement> {
  const value = { ...placement, ...change };
  await room.store.transact([{ op: "put", collection: PLACEMENTS, key, value }]);
  return value;
}

async function allocate(room: KubeletRoom, unit: Live): Promise<ReconcileResult | void> {
  const { placement, cluster, client, pod } = unit;
  try {
    const { privateIpv4 } = await room.ports.network.allocate({
      attachmentId: placement.attachmentId,
      owner: `eks-pod-${placement.uid}`,
      account: placement.account,
      region: placement.region,
      subnetId: placement.subnetId,
      securityGroupIds: [cluster.clusterGroupId],
      assignPublicIp: false,
      isNode: true,
      description: `Amazon EKS Fargate pod ${placement.namespace}/${placement.name} of ${cluster.name}`,
    });
    await save(room, unit, { address: privateIpv4 });
  } catch (error) {
    if (!isProblem(error, "exhausted", "not-found", "invalid")) throw error;
    await refuse(room, { client, pod, reason: `No address for the pod: ${error.message}` });
    return { requeueAfterMs: FULL_AGAIN_MS };
  }
}

async function bind(room: KubeletRoom, unit: Live): Promise<ReconcileResult | void> {
  const { placement, cluster, client, pod } = unit;
  const node = nodeObject({ cluster, placement, engine: await room.engine.fingerprint(), nowMs: room.clock.nowMs() });
  const name = nodeNameOf(placement);
  try {
    await client.createNode(node);
  } catch (error) {
    if (!isProblem(error, "already-exists")) throw error;
    // Of the pod that had the address before: it goes first.
    const known = await client.node(name);
    if (known?.metadata?.annotations?.[POD_UID_ANNOTATION] !== placement.uid) return { requeueAfterMs: LOOK_AGAIN_MS };
  }
  await client.renewLease(name);
  const { annotation, event } = tellLogging(placement);
  await client.bind(pod, name, { CapacityProvisioned: sizeInWords(placement), Logging: annotation });
  const message = `Successfully assigned ${placement.namespace}/${placement.name} to ${name}`;
  await send(room, unit, [event, { type: "Normal", reason: "Scheduled", message, from: "fargate-scheduler" }]);
}

async function start(room: KubeletRoom, written: Map<string, string>, before: Live): Promise<ReconcileResult | void> {
  const { bootId } = room;
  const begun = before.placement.bootId === bootId ? before : { ...before, placement: await save(room, before, { bootId }) };
  await destroyEarlier(room, begun.placement);
  const unit = { ...begun, placement: await tellMissingLogins(room, begun) };
  const { cluster, placement, pod, client } = unit;
  try {
    const [sources, vpc] = [await room.sources.read(unit.key, client, pod), await room.ports.network.dnsFor(placement.subnetId)];
    const services = serviceVariables(pod, client.services());
    await room.engine.start(compilePod({ cluster, placement, pod, sources, services, vpc }));
    if (placement.waiting !== undefined) await save(room, unit, { waiting: undefined });
  } catch (error) {
    if (!isProblem(error, "not-found", "invalid", "unsupported", "exhausted")) throw error;
    const { waiting, events } = startFailure(error);
    const told = { ...placement.told, start: error.message };
    if (placement.told["start"] !== error.message) {
      await send(room, unit, events);
      await save(room, unit, { waiting, told });
    }
    await report(room, written, { ...unit, placement: { ...placement, waiting, told } });
    return { requeueAfterMs: LOOK_AGAIN_MS };
  }
}

/** What they hold is asked for at each pull (`Kubelet.pullLogins`). */
async function tellMissingLogins(room: KubeletRoom, unit: Live): Promise<PodPlacement> {
  const { client, pod, placement } = unit;
  const names = (pod.spec?.imagePullSecrets ?? []).map(({ name = "" }) => name);
  const found = await Promise.all(names.map((name) => client.secret(placement.namespace, name)));
  const missing = names.filter((_, index) => found[index] === undefined);
  if (missing.length === 0 || placement.told["logins"] !== undefined) return placement;
  const message = `Unable to retrieve some image pull secrets (${missing.join(", ")}); attempting to pull the image may not succeed.`;
  await send(room, unit, [{ type: "Warning", reason: "FailedToRetrieveImagePullSecret", message }]);
  return save(room, unit, { told: { ...placement.told, logins: message } });
}

interface Hindrance {
  readonly waiting: { readonly reason: string; readonly message?: string };
  /** Of the whole pod; what its containers wait for is told with their states. */
  readonly events: readonly PodEvent[];
}

/** How the kubelet shows that a pod's containers cannot be made. */
function startFailure({ kind, message }: Problem): Hindrance {
  const waiting = { reason: "ContainerCreating" };
  if (kind === "exhausted") return { waiting, events: [{ type: "Warning", reason: "FailedCreatePodSandBox", message }] };
  if (message.startsWith(MOUNT_FAILED)) return { waiting, events: [{ type: "Warning", reason: "FailedMount", message }] };
  return { waiting: { reason: "CreateContainerConfigError", message }, events: [] };
}

/** Ephemeral containers that have come since are added to what runs; one that cannot be is told of once. */
async function addDebuggers(room: KubeletRoom, unit: Live): Promise<void> {
  const { cluster, placement, pod, client, workload } = unit;
  if (workload?.desired !== "RUNNING" || room.engine.addContainer === undefined) return;
  for (const debug of pod.spec?.ephemeralContainers ?? []) {
    const before = pod.status?.ephemeralContainerStatuses?.find(({ name }) => name === debug.name);
    if (workload.containers.some(({ name }) => name === debug.name) || before?.state?.terminated !== undefined) continue;
    const topic = `debug/${debug.name}`;
    try {
      // What it refers to, and nothing else of the pod.
      const sources = await room.sources.read(unit.key, client, { metadata: pod.metadata, spec: { containers: [debug] } });
      const services = serviceVariables(pod, client.services());
      await room.engine.addContainer(workload.id, compileDebugger(debug, { cluster, placement, pod, sources, services }));
    } catch (error) {
      if (!isProblem(error, "not-found", "invalid", "unsupported", "conflict")) throw error;
      if (placement.told[topic] === error.message) continue;
      await send(room, unit, [{ type: "Warning", reason: "Failed", message: `Error: ${error.message}`, container: debug.name }]);
      await save(room, unit, { told: { ...placement.told, [topic]: error.message } });
    }
  }
}

/** The deadline is one of the few fields that may change while a pod runs: be given, or come sooner. */
async function keepDeadline(room: KubeletRoom, { pod, workload, deadlineSeconds }: Live): Promise<void> {
  const activeDeadlineSeconds = pod.spec?.activeDeadlineSeconds;
  if (workload === undefined || activeDeadlineSeconds === undefined || activeDeadlineSeconds === deadlineSeconds) return;
  await room.engine.refresh?.(workload.id, { activeDeadlineSeconds });
}

/** Writes the status where it says something new, and the events that follow from it. */
async function report(room: KubeletRoom, written: Map<string, string>, unit: Live): Promise<ReconcileResult | void> {
  const { key, client, pod, placement, workload } = unit;
  const status = podStatus({ pod, placement, workload, nowMs: room.clock.nowMs() });
  const text = JSON.stringify(status);
  if (written.get(key) !== text) {
    try {
      await client.writeStatus(pod, status);
      written.set(key, text);
    } catch (error) {
      // The pod is gone, which the watch will tell, or others wrote in the same moment.
      if (isProblem(error, "conflict")) return { requeueAfterMs: LOOK_AGAIN_MS };
      if (!isProblem(error, "not-found")) throw error;
    }
  }
  const { events, told } = newsOf({ pod, status, workload }, placement.told);
  if (events.length > 0) {
    await send(room, unit, events);
    await save(room, unit, { told, ...(workload !== undefined && { waiting: undefined }) });
  }
  // What a failed try is called changes by itself.
  return hasFreshFailure(status) ? { requeueAfterMs: LOOK_AGAIN_MS } : undefined;
}

/** The workload that ended makes room for the next one, at the same address. */
async function retry(room: KubeletRoom, unit: Live): Promise<void> {
  const { placement, workload, pod } = unit;
  const restarts = Object.fromEntries(
    (workload?.containers ?? []).map(({ name, restartCount, startedAtMs }) => [
      name,
      (placement.restarts[name] ?? 0) + restartCount + (startedAtMs === undefined ? 0 : 1),
    ]),
  );
  const lastEnds = Object.fromEntries((workload?.containers ?? []).flatMap((container) => lastEndsOf(container)));
  const failures = workload?.startedAtMs === undefined ? placement.failures + 1 : 0;
  const message = workload?.stop?.reason ?? "";
  room.logger.info(`the pod ${placement.namespace}/${placement.name} is started anew: ${message}`, { podUid: pod.metadata?.uid });
  await send(room, unit, [{ type: "Normal", reason: "SandboxChanged", message: "Pod sandbox changed, it will be killed and re-created." }]);
  await save(room, unit, {
    attempt: placement.attempt + 1,
    failures,
    notBeforeMs: room.clock.nowMs() + backoffMs(failures),
    restarts,
    lastEnds: { ...placement.lastEnds, ...lastEnds },
    waiting: { reason: "ContainerCreating", message },
  });
}

/** A host that fails takes its pods along, as on AWS; here nobody waits five minutes for it to come back, as it is known that it did. */
async function lose(room: KubeletRoom, written: Map<string, string>, before: Live): Promise<void> {
  const unit = before.placement.isLost === true ? before : { ...before, placement: await save(room, before, { isLost: true }) };
  const message = `The host of node ${nodeNameOf(unit.placement)} was restarted: the pod is deleted; its controller, if it has one, replaces it`;
  await send(room, unit, [{ type: "Warning", reason: "NodeLost", message }]);
  await report(room, written, unit);
  await unit.client.finishDeletion(unit.pod);
}

/** By name: its end, or that of the attempt before one that never was. */
function lastEndsOf({ name, restartCount, lastEnd, ...status }: ContainerStatus): readonly (readonly [string, ContainerEnd])[] {
  const { exitCode, reason, startFailure, terminationMessage, startedAtMs, finishedAtMs } = status;
  const hasEnded = exitCode !== undefined || startFailure?.step === "start";
  const end = hasEnded ? { attempt: restartCount, exitCode, reason, startFailure, terminationMessage, startedAtMs, finishedAtMs } : lastEnd;
  return end === undefined ? [] : [[name, end]];
}

/** What the one before counted is in the placement: it is needed no more. */
async function destroyEarlier(room: KubeletRoom, placement: PodPlacement): Promise<void> {
  if (placement.attempt > 0) await room.engine.destroy(workloadIdOf({ ...placement, attempt: placement.attempt - 1 }));
}

async function tellEnd(room: KubeletRoom, unit: Live): Promise<void> {
  const running = unit.workload?.containers.filter(({ state }) => state === "RUNNING") ?? [];
  await send(
    room,
    unit,
    running.map(({ name }) => ({ type: "Normal", reason: "Killing", message: `Stopping container ${name}`, container: name })),
  );
}

/** Within the grace that its deletion names, which a later one may shorten. */
async function stop(room: KubeletRoom, { placement, pod }: Unit): Promise<void> {
  const graceSeconds = pod?.metadata?.deletionGracePeriodSeconds;
  await room.engine.stop(workloadIdOf(placement), STOPPED, graceSeconds === undefined ? {} : { graceSeconds }).catch((error: unknown) => {
    if (!isProblem(error, "not-found")) throw error;
  });
}

/** The record goes last: as long as it is there, this is done again. */
async function remove(room: KubeletRoom, { key, placement, client }: Unit): Promise<void> {
  await room.engine.destroy(workloadIdOf(placement));
  await destroyEarlier(room, placement);
  if (placement.address !== undefined && client !== undefined) {
    const name = nodeNameOf(placement);
    const node = await client.node(name);
    if (node?.metadata?.annotations?.[POD_UID_ANNOTATION] === placement.uid) await client.deleteNode(name);
  }
  await room.ports.network.detach(placement.attachmentId);
  await room.store.transact([{ op: "delete", collection: PLACEMENTS, key }]);
}

/** Events tell people; nothing depends on them. */
async function send(room: KubeletRoom, { client, pod, placement }: Live, events: readonly PodEvent[]): Promise<void> {
  for (const event of events) {
    const object = eventObject(pod, event, { suffix: room.ids.hex(16), nowMs: room.clock.nowMs() });
    await client
      .sendEvent(placement.namespace, object)
      .catch((error: unknown) => room.logger.debug("an event was not kept", { reason: event.reason, err: error }));
  }
}
