import { afterEach, beforeEach, expect, test } from "vitest";
import type { WorkloadStatus } from "../contracts/engine.ts";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate, type Fargate } from "./fargate.ts";
import type { DiskSpace } from "./plan-storage.ts";
import { testContainer, testFargateOptions, testWorkload, type TestParts } from "./testing.ts";
import { createInertFolders } from "./workload-folders.ts";

const GIB = 2 ** 30;
const clock = new FakeClock();
let runtime: ReturnType<typeof createSimulatedRuntime>;
let fargate: Fargate;
let runner: ControllerRunner;
let disk: DiskSpace;
let looks: number;

let world: TestParts & { readonly runtime: ReturnType<typeof createSimulatedRuntime> };

beforeEach(async () => {
  // Deaf to its stop signal: only SIGKILL ends it within its 30 seconds.
  const script = { otherwise: { stopsAfterMs: 3_600_000 } };
  runtime = createSimulatedRuntime({ clock, ids: seededIds("usage"), script });
  world = { store: createMemoryStore(), clock, runtime, network: createSimulatedNetwork(), logs: createSimulatedLogCollector() };
  disk = { freeBytes: 50 * GIB, sizeBytes: 100 * GIB };
  looks = 0;
  await boot();
});
afterEach(() => end());

async function boot(): Promise<void> {
  const space = async (): Promise<DiskSpace> => {
    looks++;
    return disk;
  };
  const folders = { ...createInertFolders(), space };
  fargate = await createFargate(testFargateOptions(world, { warmSandboxes: 0, watchUsage: true, hostProcesses: 32_768, folders }));
  await fargate.start();
  runner = createControllerRunner({ store: world.store, controllers: fargate.controllers, clock, logger: silentLogger });
  await runner.start();
}

async function end(): Promise<void> {
  await fargate.close();
  await runner.stop();
}

async function start(name: string): Promise<string> {
  const id = Buffer.from(name.padEnd(16, ".")).toString("hex");
  const { network } = testWorkload();
  await fargate.engine.start(testWorkload({ id, containers: [testContainer(name)], network: { ...network, attachmentId: name } }));
  await clock.advance(1000);
  expect((await status(id))?.state).toBe("RUNNING");
  return id;
}

const status = async (id: string): Promise<WorkloadStatus | undefined> => (await fargate.engine.get(id))?.status;

test("a task over its size is killed at once, without its grace; its neighbour goes on", async () => {
  const [calm, greedy] = [await start("calm"), await start("greedy")];
  runtime.write("calm", { bytes: 19 * GIB, inodes: 10 });
  runtime.write("greedy", { bytes: 19 * GIB, inodes: 10 });
  await clock.advance(20_000);
  expect((await status(greedy))?.state).toBe("RUNNING");
  runtime.write("greedy", { bytes: 20.5 * GIB, inodes: 10 });
  await clock.advance(12_000);
  expect(await status(greedy)).toMatchObject({
    state: "STOPPED",
    stop: { code: "TerminationNotice", reason: expect.stringMatching(/^EphemeralStorageExceededError: .*container greedy's own layer 20\.50 GiB/) },
    containers: [{ exitCode: 137 }],
  });
  expect((await status(calm))?.state).toBe("RUNNING");
});

test("on a disk that is nearly full the task that grew most ends; looks are two seconds apart while there is little room", async () => {
  const [calm, greedy] = [await start("calm"), await start("greedy")];
  runtime.write("calm", { bytes: 19 * GIB, inodes: 10 });
  runtime.write("greedy", { bytes: GIB, inodes: 10 });
  await clock.advance(90_000);
  disk = { ...disk, freeBytes: 0.5 * GIB };
  await clock.advance(10_000);
  expect((await status(greedy))?.state).toBe("RUNNING");
  looks = 0;
  await clock.advance(10_000);
  expect(looks).toBe(5);
  runtime.write("greedy", { bytes: 4 * GIB, inodes: 10 });
  await clock.advance(4000);
  expect(await status(greedy)).toMatchObject({ state: "STOPPED", stop: { reason: expect.stringMatching(/^HostDiskFullError: /) } });
  expect((await status(calm))?.state).toBe("RUNNING");
});

test("a task that was there before Tidegate's restart has not grown by what it had; a new one has", async () => {
  disk = { ...disk, freeBytes: 0.5 * GIB };
  const old = await start("old");
  runtime.write("old", { bytes: 19 * GIB, inodes: 10 });
  await end();
  await boot();
  await clock.advance(15_000);
  expect((await status(old))?.state).toBe("RUNNING");
  const young = await start("new");
  runtime.write("new", { bytes: GIB, inodes: 10 });
  await clock.advance(3000);
  expect(await status(young)).toMatchObject({ state: "STOPPED", stop: { reason: expect.stringMatching(/^HostDiskFullError: /) } });
  expect((await status(old))?.state).toBe("RUNNING");
});

test("without tasks nothing is measured", async () => {
  await clock.advance(60_000);
  expect(looks).toBe(0);
});

test("a measurement that fails is made again", async () => {
  const id = await start("greedy");
  runtime.write("greedy", { bytes: 21 * GIB, inodes: 10 });
  runtime.setDown(true);
  await clock.advance(30_000);
  runtime.setDown(false);
  await clock.advance(15_000);
  expect((await status(id))?.state).toBe("STOPPED");
});

test("a task that hits its limit of processes finds it in its timeline, once", async () => {
  const id = await start("forks");
  const [group] = [...runtime.groups()];
  expect(group?.[1]).toEqual({ memoryBytes: 512 * 2 ** 20, cpuUnits: 256, processes: 4096 });
  runtime.refuseForks(group?.[0] ?? "", 3);
  await clock.advance(30_000);
  const told = (await status(id))?.timeline.filter(({ phase }) => phase.includes("limit of 4096 processes"));
  expect(told).toHaveLength(1);
});
