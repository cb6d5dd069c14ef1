import type { ServerResponse } from "node:http";
import type { ContainerLogFile, ContainerStatus, StreamEndpoint, WorkloadStatus } from "../../contracts/engine.ts";
import { isProblem } from "../../core/problem.ts";
import { FolderWatch } from "../../host/folder-watch.ts";
import { dirname } from "node:path";
import { nodeNameOf } from "../node-object.ts";
import { podStatus, type WrittenContainer } from "../pod-status.ts";
import type { KubeCluster } from "../ports.ts";
import { workloadIdOf, type PodPlacement } from "../records.ts";
import type { KubeletRoom } from "../room.ts";
import { chooseAttempt } from "./choose-attempt.ts";
import { readLog } from "./read-log.ts";
import { resourceMetrics, type ContainerUsage, type NodeUsage } from "./resource-metrics.ts";
import type { KubeletCall, Refusal } from "./routes.ts";
import { statsSummary } from "./summary.ts";
import type { CpuRates } from "./cpu-rates.ts";

/** How often a log that is followed is looked at though nothing is said to have happened. */
const LOOK_AGAIN_MS = 2000;

/** The node that was called: its pod's. */
export interface Node {
  readonly cluster: KubeCluster;
  readonly placement: PodPlacement;
}

type Call<Type extends KubeletCall["type"]> = Extract<KubeletCall, { readonly type: Type }>;

/** Of a call that names a pod: `undefined` where that is the node's. */
export function wrongPod(
  { placement }: Node,
  call: { readonly namespace: string; readonly pod: string; readonly uid?: string },
): Refusal | undefined {
  const isIt = call.namespace === placement.namespace && call.pod === placement.name && (call.uid ?? placement.uid) === placement.uid;
  return isIt ? undefined : { status: 404, words: `pod "${call.pod}" does not exist` };
}

/** Prepares the stream that a call asks for, or says in the kubelet's words why there is none. */
export async function streamFor(room: KubeletRoom, node: Node, call: Call<"exec" | "attach" | "port-forward">): Promise<StreamEndpoint | Refusal> {
  const wrong = wrongPod(node, call);
  if (wrong !== undefined) return wrong;
  const container = call.type === "port-forward" ? "" : call.container;
  if (room.engine.stream === undefined) return { status: 500, words: "this engine has no streams" };
  try {
    return await room.engine.stream(workloadIdOf(node.placement), call);
  } catch (error) {
    if (!isProblem(error)) throw error;
    if (error.kind !== "conflict" && error.kind !== "not-found") return { status: 500, words: error.message };
    return call.type === "port-forward"
      ? { status: 500, words: `unable to find pod ${call.pod}_${call.namespace}: it does not run` }
      : { status: 500, words: `container not found ("${container}")` };
  }
}

/** The PodList of a node: the one pod that it has. */
export async function podsOf(room: KubeletRoom, { cluster, placement }: Node): Promise<unknown> {
  const pod = (await room.connections.to(cluster)).pod(placement.uid);
  return { kind: "PodList", apiVersion: "v1", metadata: {}, items: pod === undefined ? [] : [pod] };
}

/** Answers a container's log, or the kubelet's words for why there is none. */
export async function answerLog(
  room: KubeletRoom,
  node: Node,
  { call, response }: { readonly call: Call<"logs">; readonly response: ServerResponse },
): Promise<Refusal | void> {
  const { engine, clock } = room;
  const { pod, container, options } = call;
  const wrong = wrongPod(node, call);
  if (wrong !== undefined) return wrong;
  const id = workloadIdOf(node.placement);
  const workload = (await engine.get(id))?.status;
  const shown = await shownContainer(room, node, { workload, container });
  if (shown === undefined) return { status: 404, words: `container "${container}" not found in pod "${pod}"` };
  const attempt = chooseAttempt({ pod, previous: options.previous, shown, observed: observedOf(workload, container) });
  if (typeof attempt !== "number") return attempt;
  const look = async (): Promise<ContainerLogFile | undefined> =>
    (await engine.logFiles?.(id))?.find((each) => each.container === container && each.attempt === attempt);
  const file = await look();
  if (file === undefined) {
    if (options.previous) return { status: 400, words: `previous terminated container "${container}" in pod "${pod}" not found` };
    return {
      status: 404,
      words: `the log of container "${container}" in pod "${pod}" is not there: it was not kept by an earlier version of Tidegate, or has been removed`,
    };
  }
  response.writeHead(200, { "content-type": "text/plain" });
  response.flushHeaders();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const turn = new Turn();
  gone.signal.addEventListener("abort", () => turn.next(), { once: true });
  using stack = new DisposableStack();
  if (options.follow) {
    stack.use(new FolderWatch(dirname(file.path), { change: () => turn.next(), error: () => {} }));
    stack.use(engine.watch((view) => view.status.id === id && turn.next()));
  }
  /** Answers whether anything was said. */
  const readAt = async (path: string): Promise<boolean> => {
    let hasSaid = false;
    await readLog({
      path,
      options,
      nowMs: clock.nowMs(),
      async isOpen() {
        const now = observedOf((await engine.get(id))?.status, container);
        return now?.restartCount === attempt && now.state === "RUNNING";
      },
      async wake() {
        const timer = clock.setTimer(LOOK_AGAIN_MS, () => turn.next());
        await turn.wait();
        timer[Symbol.dispose]();
        gone.signal.throwIfAborted();
      },
      write(bytes) {
        hasSaid ||= bytes.length > 0;
        return writeTo(response, bytes, gone.signal);
      },
    });
    return hasSaid;
  };
  try {
    // The workload's end may move its logs between the look and the reading, which then finds nothing.
    if (!(await readAt(file.path))) {
      const now = await look();
      if (now !== undefined && now.path !== file.path) await readAt(now.path);
    }
  } catch (error) {
    if (!gone.signal.aborted) throw error;
  }
  response.end();
}

/** Resolves at the next happening; one that came before somebody waits is not lost. */
class Turn {
  #happened = Promise.withResolvers<void>();

  next(): void {
    this.#happened.resolve();
  }

  async wait(): Promise<void> {
    await this.#happened.promise;
    this.#happened = Promise.withResolvers<void>();
  }
}

async function writeTo(response: ServerResponse, bytes: Buffer, gone: AbortSignal): Promise<void> {
  gone.throwIfAborted();
  if (response.write(bytes)) return;
  await new Promise<void>((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
  gone.throwIfAborted();
}

function observedOf(workload: WorkloadStatus | undefined, container: string): ContainerStatus | undefined {
  return workload?.containers.find(({ name }) => name === container);
}

async function shownContainer(
  room: KubeletRoom,
  { cluster, placement }: Node,
  { workload, container }: { readonly workload: WorkloadStatus | undefined; readonly container: string },
): Promise<WrittenContainer | undefined> {
  const pod = (await room.connections.to(cluster)).pod(placement.uid);
  if (pod === undefined) return undefined;
  const {
    containerStatuses,
    initContainerStatuses = [],
    ephemeralContainerStatuses = [],
  } = podStatus({ pod, placement, workload, nowMs: room.clock.nowMs() });
  return [...containerStatuses, ...initContainerStatuses, ...ephemeralContainerStatuses].find(({ name }) => name === container);
}

/** `/metrics/resource` of a node. */
export async function metricsOf(room: KubeletRoom, node: Node): Promise<string> {
  return resourceMetrics(await usageOf(room, node));
}

/** `/stats/summary` of a node. */
export async function summaryOf(room: KubeletRoom, node: Node, rates: CpuRates): Promise<unknown> {
  const { placement } = node;
  const used = await usageOf(room, node);
  const id = workloadIdOf(placement);
  const nanoCores = new Map([
    ["", used.whole && rates.take(id, used.whole)],
    ...used.containers.map(({ name, stats, startedAtMs }) => [name, rates.take(`${id}/${name}/${startedAtMs}`, stats)] as const),
  ]);
  return statsSummary({
    ...used,
    nodeName: nodeNameOf(placement),
    podUid: placement.uid,
    podStartedAtMs: placement.startedAtMs,
    nanoCores: (name) => nanoCores.get(name),
  });
}

async function usageOf({ engine }: KubeletRoom, { placement }: Node): Promise<NodeUsage> {
  const id = workloadIdOf(placement);
  const running = (await engine.get(id))?.status.containers.filter(({ state }) => state === "RUNNING") ?? [];
  const containers = await Promise.all(
    running.map(async ({ name, startedAtMs = placement.startedAtMs }): Promise<readonly ContainerUsage[]> => {
      const stats = await engine.stats?.(id, name);
      return stats === undefined ? [] : [{ name, startedAtMs, stats }];
    }),
  );
  const whole = running.length === 0 ? undefined : await engine.stats?.(id);
  return { namespace: placement.namespace, pod: placement.name, whole, containers: containers.flat() };
}
