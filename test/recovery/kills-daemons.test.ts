import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { messageOf } from "../../src/core/problem.ts";
import { startTimeOf } from "../../src/host/process.ts";
import { run } from "../../src/host/run.ts";
import { until } from "../support/instance.ts";
import { randomOf, rounds, seed } from "./matrix.ts";
import { createBench, type Bench } from "./support/bench.ts";
import { createStorms, type Storms } from "./support/storms.ts";

/** SIGKILL of the daemons, alone, together with the control plane, and while that starts, as tasks come and go. */

const TIMEOUT_MS = 30 * 60_000;
/** The promise is 5 s; the rest is a busy machine's. The figure is printed. */
const BACK_WITHIN_MS = 15_000;

const WAYS = [
  { how: "alone", part: 2 },
  { how: "together with the control plane", part: 2 },
  { how: "as the control plane starts", part: 1 },
] as const;

let bench: Bench;
let storms: Storms;

beforeAll(async () => {
  bench = await createBench();
  storms = await createStorms(bench);
});

afterAll(() => bench?.[Symbol.asyncDispose]());

interface Target {
  readonly name: string;
  pid(): Promise<number>;
  /** Whether it serves again. */
  works(): Promise<boolean>;
  /** Requests that are under way break when it dies. */
  readonly carriesRequests?: boolean;
}

const targets: readonly Target[] = [
  {
    name: "containerd",
    pid: () => pidOf("containerd"),
    works: async () => (await run(["ctr", "--address", join(bench.instance.runDir, "containerd.sock"), "version"], { timeoutMs: 1_000 })).code === 0,
  },
  { name: "HAProxy's master", pid: () => pidOf("haproxy-"), works: answers, carriesRequests: true },
  { name: "HAProxy's worker", pid: async () => childOf(await pidOf("haproxy-")), works: answers, carriesRequests: true },
  {
    name: "the resolver",
    pid: () => pidOf("dns-"),
    works: () => bench.namesResolve().then(() => true),
  },
];

async function answers(): Promise<boolean> {
  const response = await fetch(bench.steady.url, { headers: { connection: "close" }, signal: AbortSignal.timeout(1_000) });
  return response.status === 200;
}

/** Of the one daemon whose name begins so, from its record. */
async function pidOf(daemon: string): Promise<number> {
  const folder = join(bench.instance.runDir, "daemons");
  const [file = ""] = (await readdir(folder)).filter((name) => name.startsWith(daemon));
  return (JSON.parse(await readFile(join(folder, file), "utf8")) as { readonly pid: number }).pid;
}

async function childOf(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").map(Number);
  return children.at(-1) ?? 0;
}

async function killDaemon(target: Target): Promise<{ readonly pid: number; readonly startTime: string | undefined }> {
  const pid = await until(`${target.name} runs`, () => target.pid());
  const startTime = startTimeOf(pid);
  process.kill(pid, "SIGKILL");
  return { pid, startTime };
}

async function restart(): Promise<void> {
  await bench.plane.kill();
  bench.plane.spawn();
}

describe.each(targets.map((target) => [target.name, target] as const))("SIGKILL of %s", (_name, target) => {
  test.each(WAYS)("$how: it is back, and no task notices", { timeout: TIMEOUT_MS }, async ({ how, part }) => {
    const random = randomOf(`${target.name} ${how}`);
    const count = rounds({ part, whole: 25 });
    const took: number[] = [];
    for (let round = 1; round <= count; round++) {
      const afterMs = random.between(0, 1_200);
      try {
        const storm = `${target.name.replaceAll(/\W/g, "")}-${how.length}-${round}`;
        const begun = storms.begin(storm);
        if (how === "as the control plane starts") await restart();
        await systemClock.sleep(afterMs);
        const killedMs = systemClock.nowMs();
        const killed = await killDaemon(target);
        if (how === "together with the control plane") await restart();
        await until(`${target.name} is another process, and works`, async () => {
          const pid = await target.pid();
          return (pid !== killed.pid || startTimeOf(pid) !== killed.startTime) && (await target.works());
        });
        const backMs = systemClock.nowMs();
        took.push(backMs - killedMs);
        if (target.carriesRequests === true) bench.forgive(killedMs, backMs);
        await bench.plane.serving();
        await begun;
        await storms.eachRunsOnce(storm);
        await storms.stop(storm);
        await storms.end(storm);
        await bench.check({ deeply: true });
      } catch (error) {
        const where = `${target.name} ${how}, round ${round} of ${count}, killed after ${afterMs} ms; TIDEGATE_RECOVERY_SEED=${seed}`;
        throw new Error(`${where}: ${messageOf(error)}`, { cause: error });
      }
    }
    console.log(`${target.name}, killed ${how}: back after ${took.toSorted((a, b) => a - b).join(", ")} ms (seed ${seed})`);
    expect(Math.max(...took)).toBeLessThan(BACK_WITHIN_MS);
  });
});
