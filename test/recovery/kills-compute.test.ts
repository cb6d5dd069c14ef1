import { UpdateServiceCommand } from "@aws-sdk/client-ecs";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { firstProcesses } from "../support/kernel.ts";
import { stateDifferences, untilStateAgrees } from "../support/state/instance-state.ts";
import type { Alteration } from "./support/altered-source.ts";
import { createStorms, type Storms } from "./support/storms.ts";
import { createBench, killIn, type Bench, type Phase, type Served } from "./support/bench.ts";
import { randomOf } from "./matrix.ts";
import { systemClock } from "../../src/core/clock.ts";

/** SIGKILL of the control plane while tasks and services come and go. */

const PHASE_TIMEOUT_MS = 30 * 60_000;

let bench: Bench;
let storms: Storms;

beforeAll(async () => {
  bench = await createBench();
  storms = await createStorms(bench);
});

afterAll(() => bench?.[Symbol.asyncDispose]());

describe("SIGKILL of the control plane under load", () => {
  test("in a launch storm, and as its tasks are stopped", { timeout: PHASE_TIMEOUT_MS }, async () => {
    let last = "";
    const launch: Phase = {
      name: "launch storm",
      windowMs: 1_500,
      begin: (round) => storms.begin((last = `storm-${round}`)),
      settle: () => storms.eachRunsOnce(last),
    };
    const stop: Phase = {
      name: "stop",
      windowMs: 1_200,
      async begin(round) {
        await storms.stop(`storm-${round}`);
      },
      settle: (round) => storms.end(`storm-${round}`),
    };
    // Each storm ends in a stop, so that the two phases take turns; each draws its instants from its own row.
    await killIn(bench, alternating(launch, stop), { part: 8, whole: 100 });
  });

  test("in a roll-out of a service that is under load itself", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const rolled: Served = await bench.serve("rolled");
    await killIn(bench, {
      name: "rollout",
      windowMs: 4_000,
      begin: () =>
        bench.ledger.acknowledged(
          "UpdateService",
          () => bench.stack.ecs.send(new UpdateServiceCommand({ service: rolled.name, forceNewDeployment: true })),
          async ({ service }) => service?.status === "ACTIVE",
        ),
      settle: () => bench.stable(rolled.name),
    });
  });

  test("in its start-up itself", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const random = randomOf("start-up");
    const STARTS = 5;
    let last = "";
    const phase: Phase = {
      name: "start-up",
      windowMs: 400,
      // Something to adopt, to finish and to end: tasks in all states.
      async begin(round) {
        await storms.stop(`start-${round - 1}`);
        await storms.begin((last = `start-${round}`));
      },
      async settle(round) {
        for (let start = 1; start < STARTS; start++) {
          await bench.plane.kill();
          bench.plane.spawn();
          await systemClock.sleep(random.between(0, 1_200));
        }
        await bench.plane.kill();
        // No start leaves anything half done in the tasks' eyes.
        await bench.namesResolve();
        bench.plane.spawn();
        await bench.plane.serving();
        await storms.eachRunsOnce(`start-${round}`);
        await storms.end(`start-${round - 1}`);
      },
    };
    await killIn(bench, phase, { part: 2, whole: 13 });
    await storms.stop(last);
    await storms.end(last);
    await untilStateAgrees(bench.instance);
  });

  test("leaves nothing of what a start does in passing, wherever it was cut off", { timeout: PHASE_TIMEOUT_MS }, async () => {
    const { dataDir, runDir } = bench.instance;
    await bench.plane.kill();
    const merged = join(dataDir, "overlay-test/merged");
    const folders = [join(dataDir, "overlay-test"), join(dataDir, "pause-image")];
    const drafts = [
      ...["instance.json", "containerd-config/config.toml"].map((file) => join(dataDir, `${file}.4711.a.tmp`)),
      join(runDir, "server.json.4711.0.tmp"),
      join(runDir, "daemons/containerd.json.4711.1.tmp"),
    ];
    try {
      for (const folder of [...folders, merged]) await mkdir(folder);
      await run(["mount", "-t", "tmpfs", "none", merged]);
      for (const draft of drafts) await writeFile(draft, "half");
      bench.plane.spawn();
      await bench.plane.serving();
      await bench.check({ deeply: true });
    } finally {
      // Where a start leaves it, no test after this one, and not the teardown, is to meet it.
      await run(["umount", "-l", merged], { okCodes: [0, 1, 32] });
      for (const path of [...folders, ...drafts]) await rm(path, { recursive: true, force: true });
    }
  });

  test("is told by the comparison when nothing is swept and nothing queued at the start", { timeout: PHASE_TIMEOUT_MS }, async () => {
    await storms.begin("forgotten");
    await storms.eachRunsOnce("forgotten");
    await bench.plane.kill();
    // They end while nobody looks: in the store they run.
    const ended = await firstProcesses(bench.instance.instanceId, "forgotten-");
    expect(ended).toHaveLength(4);
    for (const { pid } of ended) process.kill(pid, "SIGKILL");
    bench.plane.spawn(WITHOUT_RECOVERY);
    await bench.plane.serving();
    await expect(untilStateAgrees(bench.instance, { timeoutMs: 10_000 })).rejects.toThrow(/(?:left over: container \S+, dead, of workload \w+\n){4}/);
    await bench.plane.kill();
    // What nobody owns is made by hand: a start that sweeps takes it away.
    const orphan = `tidegate-${bench.instance.instanceId}-00000000000f`;
    await mkdir(join(bench.instance.dataDir, "workloads/orphan"));
    await mkdir(`/sys/fs/cgroup/${existsSync("/sys/fs/cgroup/memory") ? "memory/" : ""}tidegate-${bench.instance.instanceId}/${orphan}`);
    bench.plane.spawn(WITHOUT_RECOVERY);
    await bench.plane.serving();
    const found = await stateDifferences(bench.instance);
    expect(found).toEqual(expect.arrayContaining(["left over: workloads/orphan", `left over: cgroup ${orphan}`]));
    await bench.plane.kill();
    bench.plane.spawn();
    await bench.plane.serving();
    await bench.check({ deeply: true });
  });
});

/** The server's own source without what its start does about an earlier run. */
const WITHOUT_RECOVERY: readonly Alteration[] = [
  { file: "fargate/sweep.ts", from: "await Promise.all(\n    removals.map(", to: "await Promise.all(\n    [].map(" },
  { file: "control/controller-runner.ts", from: "for (const key of await this.#controller.initialKeys())", to: "for (const key of [])" },
];

function alternating(first: Phase, second: Phase): Phase {
  const of = (round: number): Phase => (round % 2 === 1 ? first : second);
  return {
    name: `${first.name}, ${second.name}`,
    windowMs: Math.max(first.windowMs, second.windowMs),
    begin: (round) => of(round).begin(Math.ceil(round / 2)),
    settle: (round) => of(round).settle(Math.ceil(round / 2)),
  };
}
