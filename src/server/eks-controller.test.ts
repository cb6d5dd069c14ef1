import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { Problem } from "../core/problem.ts";
import { FakeEngine } from "../services/ecs/testing.ts";
import type { EksPorts } from "../services/eks/ports.ts";
import {
  CLUSTER_SECRETS,
  CLUSTER_USAGE,
  clusterKey,
  CLUSTERS,
  CONTROL_PLANES,
  type ClusterSecrets,
  type ControlPlaneRecord,
} from "../services/eks/records.ts";
import { createEksService } from "../services/eks/service.ts";
import { testCluster } from "../services/eks/testing.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";

/** The cluster controller over an engine whose workloads do as told, in a time that the test moves. */

const DAY_MS = 24 * 60 * 60_000;
const cluster = testCluster();
const key = clusterKey(cluster, cluster.name);

let clock: FakeClock;
let engine: FakeEngine;
let store: ReturnType<typeof createMemoryStore>;
let runner: ControllerRunner;
let find: EksPorts["images"]["find"];

const ports: EksPorts = {
  network: {
    subnets: async () => [],
    securityGroups: async () => [],
    ensureGroup: async ({ name }) => `sg-${name}`,
    deleteGroup: async () => true,
    setIngress: async () => {},
    allocate: async ({ attachmentId, subnetId }) => ({
      attachmentId,
      subnetId,
      eniId: "eni-1",
      macAddress: "02:00:00:00:00:01",
      privateIpv4: "10.0.0.9",
      privateDnsName: "ip-10-0-0-9.ec2.internal",
      vpcId: "vpc-1",
      subnetCidr: "10.0.0.0/24",
      gatewayIpv4: "10.0.0.1",
    }),
    detach: async () => {},
    endpointOf: async () => ({ apiUrl: "http://169.254.171.2:4566", hostAddress: "169.254.180.1" }),
  },
  roles: {
    exists: async () => true,
    assume: async () => {
      throw new Problem("not-found", "no role");
    },
  },
  images: { find: () => find() },
  volumes: { remove: async () => {}, folder: () => undefined, ensureRoom: async () => {} },
  apiServer: { isReady: async () => true },
  callers: { verify: async () => undefined },
  objects: {
    of: () => Promise.reject(new Problem("unavailable", "there is no API server")),
    readYaml: async (text) => JSON.parse(text) as unknown,
  },
  pods: { left: async () => false },
  trustedAuthorities: () => "PEM",
  loadBalancers: { areLeft: async () => false },
  logs: { write: async () => {} },
};

beforeEach(async () => {
  clock = new FakeClock(cluster.createdAtMs);
  engine = new FakeEngine(clock);
  store = createMemoryStore();
  find = async () => ({ image: "kubernetes.tidegate.internal/control-plane:1.36.3", digest: `sha256:${"ab".repeat(32)}` });
  const toolbox = { clock, ids: seededIds("eks-controller"), logger: silentLogger };
  const { controllers = [] } = createEksService({ store, engine, ports, toolbox, ownHosts: [] });
  runner = createControllerRunner({ store, controllers, clock, logger: silentLogger });
  await runner.start();
});
afterEach(() => runner.stop());

const plane = async (of = key): Promise<ControlPlaneRecord | undefined> => (await store.get(CONTROL_PLANES, of))?.value;
const secrets = async (): Promise<ClusterSecrets | undefined> => (await store.get(CLUSTER_SECRETS, key))?.value;

/** Keys are made for real, so real time passes beside the clock's, on a busy machine much of it. */
async function reach(what: string, condition: (now: ControlPlaneRecord | undefined) => boolean, of = key): Promise<ControlPlaneRecord | undefined> {
  const deadlineMs = performance.now() + 40_000;
  for (let turn = 0; turn < 600 || performance.now() < deadlineMs; turn++) {
    const now = await plane(of);
    if (condition(now)) return now;
    await clock.advance(turn < 100 ? 10 : turn < 600 ? 1000 : 0);
    await setTimeout(5);
  }
  throw new Error(`never ${what}: ${JSON.stringify(await plane(of))}`);
}

const create = (): Promise<number> => store.transact([{ op: "create", collection: CLUSTERS, key, value: cluster }]);

it("renews certificates in time, by one replacement of the workload: authority, key of the data and address stay, the tokens' key does not", async () => {
  await create();
  const before = await reach("ACTIVE", (now) => now?.state === "ACTIVE");
  const made = await secrets();
  await clock.advance(330 * DAY_MS);
  expect(await plane()).toEqual(before);
  expect(engine.starts).toBe(1);
  await clock.advance(10 * DAY_MS);
  const after = await reach("replaced", (now) => now?.workloadId !== undefined && now.workloadId !== before?.workloadId);
  expect(after).toEqual({ ...before, workloadId: after?.workloadId });
  await reach("running", () => engine.running().length === 1);
  expect(engine.starts).toBe(2);
  const renewed = await secrets();
  const issued = {
    leaves: undefined,
    leavesEndMs: undefined,
    frontProxy: undefined,
    serviceAccountKey: undefined,
    formerServiceAccountKeys: undefined,
  };
  expect({ ...renewed, ...issued }).toEqual({ ...made, ...issued });
  expect(renewed?.serviceAccountKey).not.toBe(made?.serviceAccountKey);
  expect(renewed?.formerServiceAccountKeys).toHaveLength(1);
  expect(renewed?.frontProxy?.authority).toEqual(made?.frontProxy?.authority);
  expect(renewed?.leavesEndMs).toBeGreaterThan((made?.leavesEndMs ?? 0) + 300 * DAY_MS);
  const [volume] = engine.running()[0]?.workload.volumes.filter(({ name }) => name === "kube-apiserver") ?? [];
  expect(JSON.stringify(volume)).toContain(JSON.stringify(renewed?.leaves["api-server"].certificate));
});

it("waits while the control plane's image is made, and fails with the reason when it cannot be, running nothing", async () => {
  find = async () => undefined;
  await create();
  await reach("waiting", (now) => now?.certificateAuthority !== undefined);
  await clock.advance(60_000);
  expect(await plane()).toMatchObject({ state: "CREATING" });
  find = () => Promise.reject(new Problem("unavailable", "there is no Go here"));
  await reach("FAILED", (now) => now?.state === "FAILED");
  expect(await plane()).toMatchObject({ issue: "there is no Go here" });
  expect(engine.starts).toBe(0);
});

it("fails after three workloads that did not start, and at once when there is no room for one", async () => {
  engine.behaviour = "fails";
  await create();
  const failed = await reach("FAILED", (now) => now?.state === "FAILED" && now.workloadId === undefined);
  expect(failed?.issue).toContain("CannotPullContainerError: no such image");
  expect(engine.starts).toBe(3);
  expect(engine.views.size).toBe(0);

  const other = testCluster({ name: "other", uid: "f".repeat(32) });
  const otherKey = clusterKey(other, other.name);
  engine.room = 0;
  await store.transact([{ op: "create", collection: CLUSTERS, key: otherKey, value: other }]);
  const refused = await reach("FAILED too", (now) => now?.state === "FAILED", otherKey);
  expect(refused?.issue).toBe("no memory left");
});

it("forgets every record of a cluster that is deleted, and its workload", async () => {
  await create();
  await reach("ACTIVE", (now) => now?.state === "ACTIVE");
  await clock.advance(2 * 3_600_000);
  await store.transact([{ op: "update", collection: CLUSTERS, key, value: { ...cluster, deletingSinceMs: clock.nowMs() } }]);
  await reach("gone", (now) => now === undefined);
  expect(await store.get(CLUSTERS, key)).toBeUndefined();
  expect(await secrets()).toBeUndefined();
  expect(engine.views.size).toBe(0);
  const usage = (await store.list(CLUSTER_USAGE)).map(({ value }) => value);
  expect(usage).toMatchObject([{ clusterArn: "arn:aws:eks:us-east-1:111122223333:cluster/shop", fromMs: cluster.createdAtMs, hours: 3 }]);
});
