import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { FakeClock, systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { CredentialsCache } from "./credentials-cache.ts";
import { createFargate, type Fargate } from "./fargate.ts";
import { PLACEMENTS } from "./records.ts";
import { testContainer, testFargateOptions, testWorkload } from "./testing.ts";

// The subnet is loopback's, so that the test can call from a task's address: the first one handed out is 127.8.0.4.
const network = createSimulatedNetwork({
  subnets: { "subnet-1": { vpcId: "vpc-1", cidr: "127.8.0.0/16" } },
  endpoints: [{ vpcId: "vpc-1", hostAddress: "127.0.0.1", apiPort: 1, metadataPort: 0, kubeletPort: 0, apiUrl: "http://127.0.0.1:1" }],
});

let fargate: Fargate;
let runner: ControllerRunner;
let port: number;
const store = createMemoryStore();
const own = testWorkload({
  id: "a".repeat(32),
  taskRoleArn: "arn:aws:iam::123456789012:role/own",
  network: { ...testWorkload().network, attachmentId: "own" },
});
const other = testWorkload({
  id: "b".repeat(32),
  taskRoleArn: "arn:aws:iam::123456789012:role/other",
  network: { ...testWorkload().network, attachmentId: "other" },
  containers: [testContainer("web"), testContainer("side")],
});

beforeAll(async () => {
  const runtime = createSimulatedRuntime({ clock: systemClock, ids: randomIds });
  fargate = await createFargate(testFargateOptions({ store, clock: systemClock, runtime, network, logs: createSimulatedLogCollector() }));
  await fargate.start();
  runner = createControllerRunner({ store, controllers: fargate.controllers, clock: systemClock, logger: silentLogger });
  await runner.start();
  const bothRun = Promise.withResolvers<void>();
  const running = new Set<string>();
  fargate.engine.watch((view) => {
    if (view.status.state === "RUNNING") running.add(view.workload.id);
    if (running.size === 2) bothRun.resolve();
  });
  await fargate.engine.start(own);
  await fargate.engine.start(other);
  await bothRun.promise;
  port = await fargate.metadataServer.listen("127.0.0.1", 0);
});
afterAll(async () => {
  await fargate.close();
  await runner.stop();
});

it("listens no more where it is told to, and elsewhere still", async () => {
  const { request } = await import("node:http");
  const answersAt = (host: string, at: number): Promise<boolean> =>
    new Promise((resolve) => {
      const sent = request({ host, port: at, agent: false }, (response) => {
        response.resume();
        resolve(true);
      });
      sent.on("error", () => resolve(false));
      sent.end();
    });
  const second = await fargate.metadataServer.listen("127.0.0.2", 0);
  expect(await answersAt("127.0.0.2", second)).toBe(true);
  await fargate.metadataServer.unlisten("127.0.0.2");
  await fargate.metadataServer.unlisten("127.0.0.2");
  expect([await answersAt("127.0.0.2", second), await answersAt("127.0.0.1", port)]).toEqual([false, true]);
});

async function get(path: string, from: string, method = "GET"): Promise<{ status: number; body: unknown }> {
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, localAddress: from, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(parts).toString()) as unknown }));
    });
    sent.on("error", reject);
    sent.end();
  });
}

it("answers each task with its own, known by its address, and nobody else's", async () => {
  const [mine, theirs] = [await fargate.engine.get(own.id), await fargate.engine.get(other.id)];
  const here = mine?.status.network?.privateIpv4 ?? "";
  const dockerId = mine?.status.containers[0]?.runtimeId ?? "";
  expect(await get(`/v4/${dockerId}`, here)).toEqual({ status: 200, body: { Name: "web", version: "v4" } });
  expect(await get(`/v3/${dockerId}/task`, here)).toEqual({ status: 200, body: { TaskARN: own.id, version: "v3" } });
  expect(await get(`/v4/${dockerId}/taskWithTags`, here)).toEqual({ status: 200, body: { TaskARN: own.id, version: "v4", TaskTags: {} } });
  expect(await get(`/v4/${dockerId}/stats`, here)).toMatchObject({ status: 200, body: { id: dockerId, name: "web", memory_stats: { limit: 0 } } });
  const stats = await get(`/v4/${theirs?.status.containers[0]?.runtimeId}/task/stats`, theirs?.status.network?.privateIpv4 ?? "");
  expect(Object.keys(stats.body as object).toSorted()).toEqual(theirs?.status.containers.map((container) => container.runtimeId).toSorted());
  // Somebody else's id, and nobody's address.
  expect(await get(`/v4/${theirs?.status.containers[0]?.runtimeId}`, here)).toMatchObject({
    status: 404,
    body: expect.stringContaining("unable to get docker ID") as string,
  });
  expect((await get(`/v4/${dockerId}`, "127.0.0.1")).status).toBe(403);
  expect((await get("/api/x/task-protection/v1/state", here)).status).toBe(404);
  expect((await get(`/v4/${dockerId}`, here, "POST")).status).toBe(405);

  const credentialsId = (await store.get(PLACEMENTS, own.id))?.value.credentialsId ?? "";
  const foreignId = (await store.get(PLACEMENTS, other.id))?.value.credentialsId ?? "";
  expect(await get(`/v2/credentials/${credentialsId}`, here)).toMatchObject({
    status: 200,
    body: { RoleArn: own.taskRoleArn, AccessKeyId: `ASIA${own.id}` },
  });
  expect(await get(`/v2/credentials/${foreignId}`, here)).toMatchObject({ status: 400, body: { code: "InvalidIdInRequest" } });
  expect(await get("/v2/credentials", here)).toMatchObject({ status: 400, body: { code: "NoIdInRequest" } });

  await fargate.engine.stop(own.id, { code: "UserInitiated", reason: "x" });
  await new Promise<void>(
    (resolve) => void fargate.engine.watch((view) => view.workload.id === own.id && view.status.state === "STOPPED" && resolve()),
  );
  expect((await get(`/v2/credentials/${credentialsId}`, here)).status).toBe(403);
});

describe("credentials", () => {
  it("are kept until near their expiry, and issued once for callers at the same time", async () => {
    const clock = new FakeClock();
    let issued = 0;
    const cache = new CredentialsCache({
      clock,
      credentials: {
        issue: async (RoleArn, session) => {
          issued++;
          return {
            RoleArn,
            AccessKeyId: `${session}-${issued}`,
            SecretAccessKey: "s",
            Token: "t",
            Expiration: new Date(clock.nowMs() + 3_600_000).toISOString(),
          };
        },
      },
    });
    const get = async (): Promise<string> => (await cache.get("task", "role")).AccessKeyId;
    expect(await Promise.all([get(), get()])).toEqual(["task-1", "task-1"]);
    await clock.advance(44 * 60_000);
    expect(await get()).toBe("task-1");
    await clock.advance(2 * 60_000);
    expect(await get()).toBe("task-2");
    cache.delete("task");
    expect(await get()).toBe("task-3");
  });
});
