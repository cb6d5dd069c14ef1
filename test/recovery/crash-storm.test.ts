/** Thousands of tasks that crash at once, on the simulated engine: the whole control plane, without compute. */
import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { createSimulatedRuntime } from "../../src/engines/simulated/index.ts";
import { startSimulatedServer, type SimulatedServer } from "../../src/server/testing.ts";
import { until } from "../support/instance.ts";
import { full } from "./matrix.ts";

const SERVICES = full ? 10 : 2;
const TASKS_EACH = full ? 1000 : 300;
const TASKS = SERVICES * TASKS_EACH;
const STORM_MS = full ? 30_000 : 8_000;
const MIB = 1024 * 1024;

type SimulatedRuntime = ReturnType<typeof createSimulatedRuntime>;

let server: SimulatedServer | undefined;
afterEach(async () => server?.[Symbol.asyncDispose]());

interface ServiceView {
  readonly runningCount: number;
  readonly pendingCount: number;
  readonly deployments: readonly { readonly rolloutState: string }[];
}

it(
  `${TASKS} tasks that crash at once, and crash again: the API answers, the back-off holds, memory is bounded, and all run when they can`,
  async () => {
    let runtime: SimulatedRuntime | undefined;
    server = await startSimulatedServer(systemClock, (rooms) => void (runtime = rooms.runtime as SimulatedRuntime));
    const { ecs } = server;
    const common = await server.prepareWeb();
    const names = Array.from({ length: SERVICES }, (_, index) => `web-${index}`);
    for (const serviceName of names) await ecs("CreateService", { ...common, serviceName, desiredCount: TASKS_EACH });
    const describe = async () => (await ecs<{ services: readonly ServiceView[] }>("DescribeServices", { services: names })).services;
    const allRun = () =>
      until(
        `${TASKS} tasks run`,
        async () => (await describe()).every(({ runningCount, pendingCount }) => runningCount === TASKS_EACH && pendingCount === 0),
        420_000,
      );
    let beganMs = systemClock.steadyMs();
    const tookSeconds = (): string => ((systemClock.steadyMs() - beganMs) / 1000).toFixed(1);
    await allRun();
    console.log(`${TASKS} tasks run after ${tookSeconds()} s`);

    const rssBefore = process.memoryUsage().rss;
    const startedBefore = runtime?.counts().startContainer ?? 0;
    runtime?.setScript({ otherwise: { runsForMs: 10, exitCode: 1 } });
    for (const container of (await runtime?.listContainers()) ?? []) runtime?.exit(container.id, { exitCode: 1 });
    let longestMs = 0;
    let asked = 0;
    for (const stormMs = systemClock.steadyMs(); systemClock.steadyMs() - stormMs < STORM_MS; asked++) {
      const askedMs = systemClock.steadyMs();
      await describe();
      longestMs = Math.max(longestMs, systemClock.steadyMs() - askedMs);
      await systemClock.sleep(100);
    }
    const started = (runtime?.counts().startContainer ?? 0) - startedBefore;
    const grownMiB = (process.memoryUsage().rss - rssBefore) / MIB;
    console.log(
      `storm of ${STORM_MS / 1000} s: ${asked} answers, the slowest after ${longestMs.toFixed(0)} ms; ${started} starts; ${grownMiB.toFixed(0)} MiB more resident`,
    );
    // Without a back-off each would be started again at once: dozens of times in this time.
    expect(started).toBeLessThan(6 * TASKS);
    expect(longestMs).toBeLessThan(15_000);
    expect(grownMiB).toBeLessThan(1024);

    runtime?.setScript({});
    beganMs = systemClock.steadyMs();
    await allRun();
    console.log(`all run again ${tookSeconds()} s after they could`);
    expect((await describe()).flatMap(({ deployments }) => deployments)).toHaveLength(SERVICES);
  },
  full ? 900_000 : 240_000,
);
