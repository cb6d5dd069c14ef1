/** Tasks that fill the disk, on real containers: one beyond its own size, one beyond the host's, which is a small one of the test's own. */
import { afterEach, expect, test } from "vitest";
import type { WorkloadStatus } from "../../src/contracts/engine.ts";
import type { ContainerSpec, Workload } from "../../src/contracts/workload.ts";
import { createControllerRunner } from "../../src/control/controller-runner.ts";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork } from "../../src/engines/simulated/index.ts";
import { createFargate } from "../../src/fargate/fargate.ts";
import { testContainer, testFargateOptions, testWorkload } from "../../src/fargate/testing.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { criHarness } from "../support/cri-harness.ts";
import { until } from "../support/instance.ts";
import { theProcess } from "../support/kernel.ts";
import { smallDisk } from "../support/small-disk.ts";

const MIB = 2 ** 20;

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

async function open(parent?: string) {
  const cri = await criHarness({ parent });
  undo.push(() => cri.dispose());
  const store = createMemoryStore();
  const parts = { store, clock: systemClock, runtime: cri.runtime(), network: createSimulatedNetwork(), logs: createSimulatedLogCollector() };
  const config = { ...cri.config, trustHostCa: false, engine: "cri" as const };
  const fargate = await createFargate(testFargateOptions(parts, { config, warmSandboxes: 0 }));
  await fargate.start();
  const runner = createControllerRunner({ store, controllers: fargate.controllers, clock: systemClock, logger: silentLogger });
  await runner.start();
  undo.push(async () => {
    await fargate.close();
    await runner.stop();
    await fargate.removeEverything();
  });
  return {
    instanceId: cri.instanceId,
    run: async (script: string, workload: Partial<Workload> = {}, container: Partial<ContainerSpec> = {}): Promise<string> => {
      const id = randomIds.hex(32);
      const containers = [testContainer("app", { image: cri.shellImage, entryPoint: ["/bin/sh", "-c"], command: [script], ...container })];
      const { network } = testWorkload();
      await fargate.engine.start(testWorkload({ id, containers, network: { ...network, attachmentId: id }, ...workload }));
      return id;
    },
    status: async (id: string): Promise<WorkloadStatus | undefined> => (await fargate.engine.get(id))?.status,
  };
}

test("a task over its ephemeral storage is stopped, whether its layer or its volumes hold it; what is within goes on", async () => {
  const { run, status } = await open();
  const write = (file: string, mib: number): string => `trap '' TERM; dd if=/dev/zero of=${file} bs=1M count=${mib}; while :; do sleep 1; done`;
  // 60 MiB each.
  const size = { ephemeralStorageGiB: 60 / 1024 };
  const volumes = { volumes: [{ name: "data", type: "ephemeral" as const }] };
  const mounts = { mounts: [{ volume: "data", containerPath: "/data", readOnly: false }] };
  const [layer, volume, both, within] = await Promise.all([
    run(write("/much", 80), size),
    run(write("/data/much", 80), { ...size, ...volumes }, mounts),
    run(`dd if=/dev/zero of=/some bs=1M count=40; ${write("/data/some", 40)}`, { ...size, ...volumes }, mounts),
    run(write("/data/some", 40), { ...size, ...volumes }, mounts),
  ]);
  for (const [id, words] of [
    [layer, /own layer 0\.08 GiB, volumes 0\.00 GiB/],
    [volume, /own layer 0\.00 GiB, volumes 0\.08 GiB/],
    [both, /own layer 0\.04 GiB, volumes 0\.04 GiB/],
  ] as const) {
    const stopped = await until("it is stopped", async () => {
      const now = await status(id);
      return now?.state === "STOPPED" && now;
    });
    expect(stopped.stop).toEqual({ code: "TerminationNotice", reason: expect.stringMatching(/^EphemeralStorageExceededError: /) });
    expect(stopped.stop?.reason).toMatch(words);
    expect(stopped.containers[0]?.exitCode).toBe(137);
  }
  expect((await status(within))?.state).toBe("RUNNING");
});

test(
  "a task that fills the host's disk is ended before it is full; its room comes back, and its neighbour goes on",
  { timeout: 4 * 60_000 },
  async () => {
    const disk = await smallDisk(1500);
    undo.push(async () => disk[Symbol.asyncDispose]());
    const { run, status, instanceId } = await open(disk.folder);
    const neighbour = await run("dd if=/dev/zero of=/own bs=1M count=100; while :; do sleep 1; : 73001; done");
    await until("the neighbour runs", async () => (await status(neighbour))?.state === "RUNNING");
    const before = await theProcess(instanceId, "73001");
    await disk.fill(500 * MIB);
    // Within its own 20 GiB: 25 MiB a second.
    const greedy = await run("i=0; while :; do i=$((i + 1)); dd if=/dev/zero of=/f$i bs=1M count=10 2>/dev/null; sleep 0.4; done");
    let least = Infinity;
    const isEnded = async (): Promise<WorkloadStatus | undefined> => {
      least = Math.min(least, await disk.freeBytes());
      const now = await status(greedy);
      return now?.state === "STOPPED" ? now : undefined;
    };
    // A busy disk takes no 25 MiB a second.
    const stopped = await until("it is ended", isEnded, 3 * 60_000);
    console.log(`least that was free: ${Math.round(least / MIB)} MiB`);
    expect(stopped.stop).toEqual({ code: "TerminationNotice", reason: expect.stringMatching(/^HostDiskFullError: /) });
    await until("its room is back", async () => (await disk.freeBytes()) > 400 * MIB);
    expect((await status(neighbour))?.state).toBe("RUNNING");
    expect(await theProcess(instanceId, "73001")).toEqual(before);
  },
);
