import type { CoreV1Event, V1Node, V1Pod } from "@kubernetes/client-node";
import { beforeEach, expect, it } from "vitest";
import type { ContainerStatus, Engine, NetworkStatus, WorkloadStatus } from "../contracts/engine.ts";
import type { Workload } from "../contracts/workload.ts";
import { FakeClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { Problem } from "../core/problem.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import type { Connections } from "./connections.ts";
import type { KubernetesClient } from "./kubernetes-client.ts";
import { createPodController } from "./pod-controller.ts";
import { PodSourceReader } from "./pod-sources.ts";
import type { KubeletPorts } from "./ports.ts";
import { PLACEMENTS, type PodPlacement, placementKey } from "./records.ts";
import type { KubeletRoom } from "./room.ts";
import { CLUSTER, containerOf, endedContainer, PLACEMENT, runningContainer, testContainer, testPod, workloadOf } from "./testing.ts";

/** A pod through its life, by an API server, a compute layer and a network that are records in memory; with kills in between. */

const KEY = placementKey(CLUSTER.key, PLACEMENT.uid);
const ADDRESS = "10.0.1.2";

interface World {
  readonly store: ReturnType<typeof createMemoryStore>;
  /** As the API server has it. */
  pod: V1Pod | undefined;
  readonly nodes: Map<string, V1Node>;
  readonly events: string[];
  readonly statuses: V1Pod["status"][];
  readonly workloads: Map<string, { workload: Workload; status: WorkloadStatus }>;
  /** Attachments that are allocated. */
  readonly attached: Set<string>;
  bootId: string;
  /** The next call of this name is the last one of the process: it has its effect, and nothing after it. */
  killedAt: string | undefined;
}

let world: World;
const clock = new FakeClock();
const ids = seededIds("pods");

beforeEach(() => {
  const pod = testPod({ schedulerName: "fargate-scheduler", nodeName: undefined, imagePullSecrets: [{ name: "none" }] }, { status: {} });
  world = {
    store: createMemoryStore(),
    pod,
    nodes: new Map(),
    events: [],
    statuses: [],
    workloads: new Map(),
    attached: new Set(),
    bootId: "first",
    killedAt: undefined,
  };
});

class Killed extends Error {}

function effect(name: string): void {
  if (world.killedAt !== name) return;
  world.killedAt = undefined;
  throw new Killed();
}

/** As the API server or a user changes the pod. */
function change(part: "metadata" | "spec" | "status", more: object): void {
  if (world.pod !== undefined) world.pod = Object.assign({}, world.pod, { [part]: Object.assign({}, world.pod[part], more) });
}

function fakeClient(): KubernetesClient {
  const client: Partial<KubernetesClient> = {
    pod: () => world.pod,
    services: () => [{ metadata: { name: "kubernetes", namespace: "default" }, spec: { clusterIP: "10.100.0.1", ports: [{ port: 443 }] } }],
    secret: async () => undefined,
    configMap: async () => undefined,
    async namespaceLabels() {
      return undefined;
    },
    async bind(_pod, nodeName) {
      change("spec", { nodeName });
      effect("bind");
    },
    async writeStatus(_pod, status) {
      change("status", JSON.parse(JSON.stringify(status)) as object);
      world.statuses.push(world.pod?.status);
      effect("writeStatus");
    },
    async finishDeletion() {
      world.pod = undefined;
      effect("finishDeletion");
    },
    async createNode(node) {
      const name = node.metadata?.name ?? "";
      if (world.nodes.has(name)) throw new Problem("already-exists", name);
      world.nodes.set(name, node);
      effect("createNode");
      return node;
    },
    node: async (name) => world.nodes.get(name),
    async deleteNode(name) {
      world.nodes.delete(name);
      effect("deleteNode");
    },
    async renewLease() {},
    async sendEvent(_namespace, { reason, message }: CoreV1Event) {
      world.events.push(`${reason} ${message}`);
    },
  };
  return client as KubernetesClient;
}

function fakeEngine(): Engine {
  const engine: Partial<Engine> = {
    fingerprint: async () => ({
      name: "memory",
      version: "1",
      machine: { architecture: "amd64", kernel: "6" },
      runtimeHandlers: [],
      capacity: { memoryMiB: 1024, cpuUnits: 1024 },
    }),
    get: async (id) => world.workloads.get(id),
    async start(workload) {
      if (!world.workloads.has(workload.id))
        world.workloads.set(workload.id, { workload, status: workloadOf([containerOf("app")], { state: "PENDING" }) });
      effect("start");
    },
    async stop(id, stop) {
      const known = world.workloads.get(id);
      if (known !== undefined) known.status = { ...known.status, desired: "STOPPED", stop };
      effect("stop");
    },
    async destroy(id) {
      const known = world.workloads.get(id);
      if (known !== undefined && known.status.state !== "STOPPED") throw new Problem("conflict", id);
      world.workloads.delete(id);
      effect("destroy");
    },
  };
  return engine as Engine;
}

/** A process of its own: what it remembers is gone with the next. */
function startProcess(): (times?: number) => Promise<void> {
  const client = fakeClient();
  const ports = {
    clusters: { get: async () => CLUSTER },
    profiles: {
      list: async () => [
        {
          name: "default",
          selectors: [{ namespace: "default", labels: {} }],
          subnets: [{ subnetId: PLACEMENT.subnetId, availabilityZone: PLACEMENT.availabilityZone }],
        },
      ],
    },
    network: {
      async allocate({ attachmentId }: { readonly attachmentId: string }) {
        world.attached.add(attachmentId);
        return { privateIpv4: ADDRESS } as NetworkStatus;
      },
      detach: async (attachmentId: string) => void world.attached.delete(attachmentId),
      dnsFor: async () => ({ servers: [], searches: [] }),
    },
  } as unknown as KubeletPorts;
  const room: KubeletRoom = {
    clock,
    ids,
    logger: silentLogger,
    store: world.store,
    engine: fakeEngine(),
    ports,
    connections: { to: async () => client } as unknown as Connections,
    sources: new PodSourceReader({ clock, ids }),
    bootId: world.bootId,
    confirmed: new Set(),
  };
  const controller = createPodController(room);
  return async (times = 10) => {
    for (let turn = 0; turn < times; turn++) await controller.reconcile(KEY);
  };
}

/** Reconciles until the process is killed at this call; then another one goes on. */
async function killedAt(name: string): Promise<void> {
  world.killedAt = name;
  await expect(startProcess()()).rejects.toThrow(Killed);
  await startProcess()();
}

const placement = async (): Promise<PodPlacement | undefined> => (await world.store.get(PLACEMENTS, KEY))?.value;
const set = (containers: readonly ContainerStatus[], more: Partial<WorkloadStatus> = {}): void => {
  for (const known of world.workloads.values()) known.status = { ...known.status, state: "RUNNING", startedAtMs: 1, containers, ...more };
};
const lost = { state: "STOPPED", desired: "STOPPED", stop: { code: "TerminationNotice", reason: "The sandbox was lost" } } as const;
const isDeleted = (): void => change("metadata", { deletionTimestamp: new Date(), deletionGracePeriodSeconds: 1 });

async function isRunning(): Promise<void> {
  await startProcess()();
  set([runningContainer("app")], { connectivityAtMs: 1 });
  await startProcess()();
  expect(world.pod?.status?.phase).toBe("Running");
}

it.each(["createNode", "bind", "start"])("a pod comes up once, also where Tidegate is killed at %s", async (name) => {
  await killedAt(name);
  expect([world.nodes.size, world.workloads.size, world.attached.size]).toEqual([1, 1, 1]);
  expect(world.pod?.spec?.nodeName).toBe([...world.nodes.keys()][0]);
  expect([...world.workloads.values()][0]?.workload.network.attachmentId).toBe([...world.attached][0]);
});

it("a pod that runs is taken up as it is: nothing is started anew, and no status is written that says nothing new", async () => {
  await isRunning();
  const { pod, statuses } = world;
  const written = statuses.length;
  await startProcess()();
  // Once, as it cannot know what the process before it wrote.
  expect(statuses).toHaveLength(written + 1);
  expect(world.workloads.size).toBe(1);
  expect(world.pod?.status).toEqual(pod?.status);
  for (const reason of ["Started", "FailedToRetrieveImagePullSecret"])
    expect(world.events.filter((event) => event.startsWith(reason))).toHaveLength(1);
});

it("what hinders a pod's start is told once, and its Secrets that are missing", async () => {
  change("spec", { containers: [testContainer({ envFrom: [{ configMapRef: { name: "words" } }] })] });
  await startProcess()();
  await startProcess()();
  expect(world.workloads.size).toBe(0);
  expect(world.pod?.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
    reason: "CreateContainerConfigError",
    message: 'configmap "words" not found',
  });
  expect(world.events.filter((event) => event.startsWith("Failed"))).toEqual([
    "FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (none); attempting to pull the image may not succeed.",
    'Failed Error: configmap "words" not found',
  ]);
});

it.each(["stop", "writeStatus", "finishDeletion", "deleteNode", "destroy"])(
  "a pod that is deleted ends in order, also where Tidegate is killed at %s",
  async (name) => {
    await isRunning();
    isDeleted();
    if (name === "stop") await killedAt("stop");
    await startProcess()();
    // Asked to end, and its object stays until nothing of it runs.
    expect([...world.workloads.values()][0]?.status.desired).toBe("STOPPED");
    expect([world.pod === undefined, world.nodes.size]).toEqual([false, 1]);
    set([endedContainer("app", 0)], { state: "STOPPED", desired: "STOPPED", stop: { code: "UserInitiated", reason: "" } });
    if (name === "stop") await startProcess()();
    else await killedAt(name);
    expect(world.statuses.at(-1)).toMatchObject({ phase: "Succeeded" });
    expect(world.pod).toBeUndefined();
    expect([world.nodes.size, world.workloads.size, world.attached.size, await placement()]).toEqual([0, 0, 0, undefined]);
  },
);

it("a pod whose object is gone at once is ended all the same", async () => {
  await isRunning();
  world.pod = undefined;
  await startProcess()();
  expect([...world.workloads.values()][0]?.status.desired).toBe("STOPPED");
  expect(world.nodes.size).toBe(1);
  set([endedContainer("app", 137)], { state: "STOPPED" });
  await startProcess()();
  expect([world.nodes.size, world.workloads.size, world.attached.size, await placement()]).toEqual([0, 0, 0, undefined]);
});

it.each(["destroy", "start"])(
  "a lost sandbox is followed by another at the same address, once and counted once, also where Tidegate is killed at %s",
  async (name) => {
    await isRunning();
    set([endedContainer("app", 137, { restartCount: 2 })], lost);
    await killedAt(name);
    expect([...world.workloads.keys()]).toEqual([`${PLACEMENT.uid.replaceAll("-", "")}-1`]);
    expect(await placement()).toMatchObject({ attempt: 1, restarts: { app: 3 }, lastEnds: { app: { attempt: 2, exitCode: 137 } }, address: ADDRESS });
    set([runningContainer("app")]);
    await startProcess()();
    expect(world.pod?.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 3, lastState: { terminated: { exitCode: 137 } } });
    expect(world.attached.size).toBe(1);
  },
);

it.each(["writeStatus", "finishDeletion"])(
  "a pod of a host that was restarted fails and goes with its node, also where Tidegate is killed at %s",
  async (name) => {
    await isRunning();
    world.bootId = "second";
    set([endedContainer("app", 137)], lost);
    await killedAt(name);
    expect(world.statuses.at(-1)).toMatchObject({ phase: "Failed", reason: "NodeLost" });
    expect(world.pod).toBeUndefined();
    expect([world.nodes.size, world.workloads.size, world.attached.size, await placement()]).toEqual([0, 0, 0, undefined]);
  },
);
