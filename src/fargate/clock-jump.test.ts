import { describe, expect, it } from "vitest";
import { createControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate } from "./fargate.ts";
import { USAGE } from "./records.ts";
import { testContainer, testFargateOptions, testWorkload } from "./testing.ts";

const HOUR_MS = 3_600_000;

describe.each([HOUR_MS, -HOUR_MS])("a wall clock that is set by %i ms", (jumpMs) => {
  it("stops no workload, waits no hour for a next try, cuts no grace short, and is not metered", async () => {
    const clock = new FakeClock();
    const script = { images: { failing: { pullFails: { kind: "unavailable" as const, message: "cut off" } }, slow: { stopsAfterMs: 20_000 } } };
    const runtime = createSimulatedRuntime({ clock, ids: randomIds, script });
    const parts = { store: createMemoryStore(), clock, runtime, network: createSimulatedNetwork(), logs: createSimulatedLogCollector() };
    const fargate = await createFargate(testFargateOptions(parts));
    await fargate.start();
    const runner = createControllerRunner({ store: parts.store, controllers: fargate.controllers, clock, logger: silentLogger });
    await runner.start();
    const settle = async (ms: number): Promise<void> => {
      for (let step = 0; step < 20; step++) await clock.advance(ms / 20);
    };
    try {
      const stateOf = async (id: string): Promise<string | undefined> => (await fargate.engine.get(id))?.status.state;
      const limited = { activeDeadlineSeconds: 1800, containers: [testContainer("web", { image: "slow" })] };
      await fargate.engine.start(testWorkload({ id: "a".repeat(32), ...limited }));
      await fargate.engine.start(testWorkload({ id: "b".repeat(32), containers: [testContainer("web", { image: "failing" })] }));
      await settle(1_000);
      expect(await stateOf("a".repeat(32))).toBe("RUNNING");
      clock.jump(jumpMs);
      runtime.setScript({ images: { slow: { stopsAfterMs: 20_000 } } });
      await settle(60_000);
      expect(await stateOf("a".repeat(32))).toBe("RUNNING");
      expect(await stateOf("b".repeat(32))).toBe("RUNNING");
      await fargate.engine.stop("a".repeat(32), { code: "UserInitiated", reason: "done" });
      await settle(10_000);
      clock.jump(jumpMs);
      expect(await stateOf("a".repeat(32))).toBe("STOPPING");
      await settle(30_000);
      const { status } = (await fargate.engine.get("a".repeat(32))) ?? {};
      // By its own hand within the grace, not by SIGKILL.
      expect(status).toMatchObject({ state: "STOPPED", containers: [{ exitCode: 143 }] });
      const [usage] = await parts.store.list(USAGE);
      expect(usage?.value.seconds).toBeGreaterThan(60);
      expect(usage?.value.seconds).toBeLessThan(120);
    } finally {
      await fargate.close();
      await runner.stop();
    }
  });
});
