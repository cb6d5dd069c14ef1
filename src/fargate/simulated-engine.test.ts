import { describe, expect, it } from "vitest";
import { engineConformance, type ContainerDoes, type EngineHarness } from "../contracts/engine.conformance.ts";
import type { Probes } from "../contracts/workload.ts";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import {
  createSimulatedLogCollector,
  createSimulatedNetwork,
  createSimulatedRuntime,
  type Behaviour,
  type SimulationScript,
} from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate, type Fargate } from "./fargate.ts";
import { USAGE } from "./records.ts";
import { testContainer, testFargateOptions, testWorkload } from "./testing.ts";

function openParts(script?: SimulationScript) {
  return {
    store: createMemoryStore(),
    clock: systemClock,
    runtime: createSimulatedRuntime({ clock: systemClock, ids: randomIds, script }),
    network: createSimulatedNetwork(),
    logs: createSimulatedLogCollector(),
  };
}

type Parts = ReturnType<typeof openParts>;

/** Warm sandboxes have no limits, no containers and no address. */
async function leftoversOf({ runtime, network, logs }: Parts, warm: number): Promise<readonly string[]> {
  const sandboxes = await runtime.listSandboxes();
  return [
    ...(await runtime.listContainers()).map((container) => `container ${container.name}`),
    ...(await network.list()).map((attachment) => `attachment of ${attachment.owner}`),
    ...[...runtime.groups()].filter(([, limits]) => limits.memoryBytes !== undefined).map(([name]) => `group ${name}`),
    ...[...logs.following.keys()].map((id) => `log ${id}`),
    ...(sandboxes.length > warm ? [`${sandboxes.length} sandboxes`] : []),
  ];
}

const health: Probes["health"] = {
  action: { type: "exec", command: ["/healthy"] },
  initialDelaySeconds: 0,
  periodSeconds: 1,
  timeoutSeconds: 1,
  failureThreshold: 2,
  successThreshold: 1,
  startPeriodSeconds: 0,
};

function behaviourFor(does: ContainerDoes): Behaviour {
  switch (does.type) {
    case "serves":
      return { stopExitCode: 0 };
    case "exits":
      return { runsForMs: does.afterMs ?? 0, exitCode: does.code };
    case "ignores-stop":
      return { stopsAfterMs: 3_600_000 };
    case "becomes-healthy":
      return { stopExitCode: 0, exec: ({ ranMs }) => ({ exitCode: ranMs >= does.afterMs ? 0 : 1 }) };
    case "stays-unhealthy":
      return { exec: { exitCode: 1 } };
    case "eats-memory":
      return { runsForMs: 50, outOfMemory: true };
    case "missing-image":
      break;
  }
  return { pullFails: { kind: "not-found", message: "simulated.example/none:latest: not found" } };
}

/** The compute layer over the simulated runtime, killed and started again at will. */
async function openHarness(warmSandboxes: number): Promise<EngineHarness> {
  const parts = openParts();
  let fargate: Fargate;
  let runner: ControllerRunner;
  const boot = async (): Promise<void> => {
    fargate = await createFargate(testFargateOptions(parts, { warmSandboxes }));
    await fargate.start();
    runner = createControllerRunner({ store: parts.store, controllers: fargate.controllers, clock: systemClock, logger: silentLogger });
    await runner.start();
  };
  await boot();
  const images: Record<string, Behaviour> = {};
  return {
    engine: () => fargate.engine,
    container(name, does, more) {
      const image = JSON.stringify(does);
      images[image] = behaviourFor(does);
      parts.runtime.setScript({ images });
      const probes = does.type === "becomes-healthy" || does.type === "stays-unhealthy" ? { health } : {};
      return testContainer(name, { image, probes, ...more });
    },
    workload: (containers, more) => testWorkload({ id: randomIds.hex(32), containers, ...more }),
    async restart() {
      await fargate.close();
      void runner.stop();
      await boot();
    },
    leftovers: () => leftoversOf(parts, warmSandboxes),
    async close() {
      await fargate.close();
      await runner.stop();
    },
  };
}

describe.each([0, 3])("the simulated engine with %i warm sandboxes", (warm) => engineConformance(() => openHarness(warm)));

it("runs 2,000 workloads through their life, starts each container once and leaves nothing", { timeout: 240_000 }, async () => {
  const parts = openParts({ otherwise: { startDelayMs: 5, stopsAfterMs: 5, stopExitCode: 0 } });
  const fargate = await createFargate(testFargateOptions(parts, { hostMemoryMiB: 2000 * 512, launchConcurrency: 64 }));
  await fargate.start();
  const runner = createControllerRunner({ store: parts.store, controllers: fargate.controllers, clock: systemClock, logger: silentLogger });
  await runner.start();
  try {
    const count = 2000;
    const states = new Map<string, string>();
    const reached = { RUNNING: Promise.withResolvers<void>(), STOPPED: Promise.withResolvers<void>() };
    fargate.engine.watch(({ workload, status }) => {
      states.set(workload.id, status.state);
      if (status.state !== "RUNNING" && status.state !== "STOPPED") return;
      if ([...states.values()].filter((state) => state === status.state).length === count) reached[status.state].resolve();
    });
    const workloads = Array.from({ length: count }, () =>
      testWorkload({
        id: randomIds.hex(32),
        containers: [testContainer("a"), testContainer("b", { dependsOn: [{ container: "a", condition: "started" }] })],
      }),
    );
    for (const workload of workloads) await fargate.engine.start(workload);
    await reached.RUNNING.promise;
    expect(parts.runtime.counts().startContainer).toBe(2 * count);
    const addresses = (await fargate.engine.list()).map((view) => view.status.network?.privateIpv4);
    expect(new Set(addresses).size).toBe(count);
    for (const workload of workloads) await fargate.engine.stop(workload.id, { code: "UserInitiated", reason: "done" });
    await reached.STOPPED.promise;
    expect(parts.runtime.counts()).toMatchObject({ createContainer: 2 * count, startContainer: 2 * count });
    expect(await leftoversOf(parts, 3)).toEqual([]);
    expect(await parts.store.list(USAGE)).toHaveLength(count);
  } finally {
    await fargate.close();
    await runner.stop();
  }
});
