import { afterEach, beforeEach, expect, it } from "vitest";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { Problem } from "../core/problem.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate, type Fargate } from "./fargate.ts";
import type { SandboxTuner } from "./sandbox-tuner.ts";
import { testFargateOptions, testWorkload } from "./testing.ts";

/** A part of the provisioning that fails at once, beside another that takes its time. */

let clock: FakeClock;
let runtime: ReturnType<typeof createSimulatedRuntime>;
let network: ReturnType<typeof createSimulatedNetwork>;
let fargate: Fargate | undefined;
let runner: ControllerRunner | undefined;

beforeEach(() => {
  clock = new FakeClock();
  runtime = createSimulatedRuntime({ clock, ids: randomIds });
  network = createSimulatedNetwork();
});
afterEach(async () => {
  await fargate?.close();
  await runner?.stop();
});

/** The same object with one call that takes a second. */
function slow<T extends object>(target: T, name: keyof T): T {
  return new Proxy(target, {
    get(_, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: readonly unknown[]) => unknown;
      return property !== name ? call : (...args: readonly unknown[]) => clock.sleep(1_000).then(() => call(...args));
    },
  });
}

async function end(
  parts: { readonly runtime?: ContainerRuntime; readonly network?: typeof network; readonly tuner?: SandboxTuner },
  subnetId: string,
) {
  const all = { store: createMemoryStore(), clock, runtime, network, logs: createSimulatedLogCollector(), ...parts };
  fargate = await createFargate(testFargateOptions(all, { warmSandboxes: 0, ...(parts.tuner !== undefined && { tuner: parts.tuner }) }));
  await fargate.start();
  runner = createControllerRunner({ store: all.store, controllers: fargate.controllers, clock, logger: silentLogger });
  await runner.start();
  const workload = testWorkload();
  await fargate.engine.start({ ...workload, network: { ...workload.network, subnetId } });
  for (let second = 0; second < 5; second++) await clock.advance(1_000);
  return (await fargate.engine.get(workload.id))?.status;
}

it("no address: its sandbox, which is still being made, does not outlive the task", async () => {
  const status = await end({ runtime: slow(runtime, "createSandbox") }, "subnet-of-nobody");
  expect(status).toMatchObject({ state: "STOPPED", stop: { code: "TaskFailedToStart" } });
  expect(runtime.counts().createSandbox).toBe(1);
  expect(await runtime.listSandboxes()).toEqual([]);
});

it("a setting that the kernel refuses: its interface, which is still being plugged, does not outlive the task", async () => {
  const tuner: SandboxTuner = { tune: () => Promise.reject(new Problem("invalid", "system control net.x cannot be 1")) };
  const status = await end({ network: slow(network, "plug"), tuner }, "subnet-1");
  expect(status).toMatchObject({ state: "STOPPED", stop: { code: "TaskFailedToStart" } });
  expect([...network.plugged.keys()]).toEqual([]);
  expect(await network.list()).toEqual([]);
});
