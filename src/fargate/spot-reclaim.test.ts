import { expect, it } from "vitest";
import { createControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate } from "./fargate.ts";
import { hostAvailableMiB } from "./spot-reclaim.ts";
import { testFargateOptions, testWorkload } from "./testing.ts";

it("reads what the host has", async () => {
  expect(await hostAvailableMiB()).toBeGreaterThan(0);
});

it("under memory pressure Spot goes first, the newest, one by one, until there is enough; others stay; nobody looks where there is no Spot", async () => {
  const clock = new FakeClock();
  const runtime = createSimulatedRuntime({ clock, ids: randomIds });
  const parts = { store: createMemoryStore(), clock, runtime, network: createSimulatedNetwork(), logs: createSimulatedLogCollector() };
  let availableMiB = 10_000;
  let looks = 0;
  const hostMemoryAvailable = async (): Promise<number> => {
    if (looks++ === 1) throw new Error("a look fails");
    return availableMiB;
  };
  const fargate = await createFargate(testFargateOptions(parts, { hostMemoryAvailable, reserveMiB: 512 }));
  await fargate.start();
  const runner = createControllerRunner({ store: parts.store, controllers: fargate.controllers, clock, logger: silentLogger });
  await runner.start();
  const id = (name: string): string => name.repeat(32);
  const stateOf = async (name: string) => (await fargate.engine.get(id(name)))?.status;
  try {
    await fargate.engine.start(testWorkload({ id: id("a") }));
    await clock.advance(60_000);
    expect(looks).toBe(0);
    for (const name of ["b", "c", "d"]) {
      await fargate.engine.start(testWorkload({ id: id(name), spot: true }));
      await clock.advance(1_000);
    }
    await clock.advance(30_000);
    expect(looks).toBeGreaterThan(1);
    expect((await stateOf("d"))?.state).toBe("RUNNING");
    availableMiB = 100;
    await clock.advance(10_000);
    await clock.advance(0);
    expect(await stateOf("d")).toMatchObject({ state: "STOPPED", stop: { code: "SpotInterruption", reason: "Your Spot Task was interrupted." } });
    expect((await stateOf("c"))?.state).toBe("RUNNING");
    availableMiB = 10_000;
    await clock.advance(60_000);
    expect((await stateOf("c"))?.state).toBe("RUNNING");
    availableMiB = 100;
    await clock.advance(60_000);
    expect([(await stateOf("a"))?.state, (await stateOf("b"))?.state, (await stateOf("c"))?.state]).toEqual(["RUNNING", "STOPPED", "STOPPED"]);
    const before = looks;
    await clock.advance(60_000);
    expect(looks).toBe(before);
  } finally {
    await fargate.close();
    await runner.stop();
  }
});
