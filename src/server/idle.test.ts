import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { startServer, type Server } from "./server.ts";

/** All rooms as `server` ties them, over the simulated engine, in a time that the test moves. */

/** Remembers with what delay each timer was set. */
class RecordingClock extends FakeClock {
  readonly delaysMs: number[] = [];
  override setTimer(delayMs: number, run: () => void): Disposable {
    this.delaysMs.push(delayMs);
    return super.setTimer(delayMs, run);
  }
}

let folder = "";
let server: Server | undefined;
afterEach(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", () => resolve()));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function start(clock: FakeClock): Promise<string> {
  folder = await mkdtemp(join(tmpdir(), "tidegate-idle-"));
  const config: InstanceConfig = {
    instanceId: randomIds.hex(6),
    port: await freePort(),
    account: "100000000000",
    region: "us-east-1",
    vpcCidr: "172.31.0.0/16",
    runDir: join(folder, "run"),
    dataDir: join(folder, "data"),
    auth: "none",
    engine: "simulated",
    hostPorts: [],
    manageHosts: false,
    trustHostCa: false,
  };
  server = await startServer(config, { clock, ids: randomIds, logger: silentLogger }, "test");
  return `http://127.0.0.1:${config.port}/`;
}

it("a service in its steady state, and a task beside it, wake nobody within ten seconds", async () => {
  const clock = new RecordingClock();
  const url = await start(clock);
  const post = async (headers: Record<string, string>, body: string): Promise<string> => {
    const answer = await fetch(url, { method: "POST", headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  const ecs = async (operation: string, input: object): Promise<Record<string, unknown>> =>
    JSON.parse(
      await post(
        { "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}`, "content-type": "application/x-amz-json-1.1" },
        JSON.stringify(input),
      ),
    ) as Record<string, unknown>;
  const ec2 = await post({ "content-type": "application/x-www-form-urlencoded" }, "Action=DescribeSubnets&Version=2016-11-15");
  const subnets = [...ec2.matchAll(/<subnetId>([^<]+)/g)].map((match) => match[1]!);
  const networkConfiguration = { awsvpcConfiguration: { subnets, assignPublicIp: "ENABLED" } };
  await ecs("CreateCluster", {});
  await ecs("RegisterTaskDefinition", {
    family: "web",
    cpu: "256",
    memory: "512",
    networkMode: "awsvpc",
    requiresCompatibilities: ["FARGATE"],
    containerDefinitions: [{ name: "app", image: "web", essential: true }],
  });
  const common = { taskDefinition: "web", launchType: "FARGATE", networkConfiguration };
  await ecs("CreateService", { ...common, serviceName: "web", desiredCount: 3 });
  await ecs("RunTask", common);

  const look = async (): Promise<{ readonly steady: boolean; readonly tasks: readonly string[] }> => {
    const { services } = (await ecs("DescribeServices", { services: ["web"] })) as { services: { events: { message: string }[] }[] };
    const { taskArns } = (await ecs("ListTasks", {})) as { taskArns: string[] };
    const { tasks } = (await ecs("DescribeTasks", { tasks: taskArns })) as { tasks: { lastStatus: string }[] };
    const steady = services[0]!.events[0]?.message.includes("has reached a steady state") ?? false;
    return { steady, tasks: tasks.map(({ lastStatus }) => lastStatus) };
  };
  await expect
    .poll(
      async () => {
        await clock.advance(1_000);
        return look();
      },
      { timeout: 30_000, interval: 5 },
    )
    .toEqual({ steady: true, tasks: ["RUNNING", "RUNNING", "RUNNING", "RUNNING"] });

  // What watches over young tasks may still look; then nothing may.
  await clock.advance(30 * 60_000);
  clock.delaysMs.length = 0;
  for (let step = 0; step < 240; step++) await clock.advance(30_000);
  expect(clock.delaysMs.filter((delayMs) => delayMs < 10_000)).toEqual([]);
  // Two hours of log and session sweeps, and of nothing else.
  expect(clock.delaysMs.length).toBeLessThan(20);
  expect(await look()).toEqual({ steady: true, tasks: ["RUNNING", "RUNNING", "RUNNING", "RUNNING"] });
});
