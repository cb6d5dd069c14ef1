import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StopTaskCommand } from "@aws-sdk/client-ecs";
import { GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { until } from "../support/instance.ts";
import { LOG_GROUP, taskIdOf } from "../support/stack.ts";
import { full } from "./matrix.ts";
import { createBench, type Bench } from "./support/bench.ts";
import { createStorms, type Storms } from "./support/storms.ts";

/**
 * A wall clock that is set while Tidegate runs: its own process sees another time from then on (libfaketime), the kernel's files and containerd
 * keep the old one. What is read: processes, requests and the host's lists, as after a kill; the times that the API tells; logs.
 */

const TIMEOUT_MS = 5 * 60_000;
const HOUR_S = 3_600;
const LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

let bench: Bench;
let storms: Storms;
let folder: string;
let offsetFile: string;
/** Writes numbered lines and is asked for its health. */
let counter: string;
let jumps = 0;

const setClock = (seconds: number): Promise<void> => writeFile(offsetFile, `${seconds < 0 ? "" : "+"}${seconds}\n`);

beforeAll(async () => {
  bench = await createBench();
  storms = await createStorms(bench);
  const { stack, plane } = bench;
  folder = await mkdtemp(join(tmpdir(), "tidegate-clock-"));
  offsetFile = join(folder, "offset");
  await setClock(0);
  const healthCheck = { command: ["CMD-SHELL", "true"], interval: 5, timeout: 5, retries: 2 };
  const command = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"];
  counter = await stack.start(await stack.define("counter", [{ name: "counter", command, healthCheck }]));
  await stack.define("later", [{ name: "app", command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"] }]);
  await plane.kill();
  plane.spawn([], {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: offsetFile,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    NO_FAKE_STAT: "1",
  });
  await plane.serving();
  await until("the counter is healthy", async () => (await stack.task(counter)).healthStatus === "HEALTHY");
});

afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** The lines of the counter, each once and in order; their times never go back. */
async function lines(): Promise<number> {
  const { logs } = bench.stack;
  const numbers: number[] = [];
  const times: number[] = [];
  for (let token: string | undefined; ;) {
    const logStreamName = `test/counter/${taskIdOf(counter)}`;
    const { events = [], nextForwardToken } = await logs.send(
      new GetLogEventsCommand({ logGroupName: LOG_GROUP, logStreamName, startFromHead: true, nextToken: token }),
    );
    numbers.push(...events.map(({ message = "" }) => Number(message.split(" ")[1])));
    times.push(...events.map(({ timestamp = 0 }) => timestamp));
    if (events.length === 0 || nextForwardToken === token) break;
    token = nextForwardToken;
  }
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  return numbers.length;
}

const JUMPS: readonly (readonly [string, number])[] = [
  ["an hour ahead", HOUR_S],
  ["back, to the hour before", -HOUR_S],
];

test.each([...JUMPS, ...(full ? JUMPS : [])])(
  "a clock that jumps %s stops, loses and restarts nothing",
  { timeout: TIMEOUT_MS },
  async (_where, offset) => {
    const { stack, instance } = bench;
    const linesBefore = await lines();
    const storm = `clock${offset}-${++jumps}`;
    const begun = storms.begin(storm);
    await setClock(offset);
    const jumpedMs = systemClock.steadyMs();
    await begun;
    await storms.eachRunsOnce(storm);
    const arn = await stack.start("later");
    const started = await stack.reach(arn, "RUNNING");
    // It is told in the terms of the clock as it is now.
    const toldMs = (started.startedAt?.getTime() ?? 0) - offset * 1_000;
    expect(Math.abs(toldMs - systemClock.nowMs())).toBeLessThan(120_000);
    expect(started.startedAt?.getTime()).toBeGreaterThanOrEqual(started.createdAt?.getTime() ?? Infinity);
    await storms.stop(storm);
    await storms.end(storm);
    await stack.ecs.send(new StopTaskCommand({ task: arn }));
    await stack.reach(arn, "STOPPED");
    await until("more lines came", async () => (await lines()) > linesBefore + 50);
    expect(await stack.task(counter)).toMatchObject({ lastStatus: "RUNNING", healthStatus: "HEALTHY" });
    await bench.check({ deeply: true });
    // A daemon that dies is back, and none of what runs is taken for what an earlier one left.
    const { pid } = JSON.parse(await readFile(join(instance.runDir, "daemons/containerd.json"), "utf8")) as { readonly pid: number };
    process.kill(pid, "SIGKILL");
    await until("containerd is back", async () => {
      const now = JSON.parse(await readFile(join(instance.runDir, "daemons/containerd.json"), "utf8")) as { readonly pid: number };
      return now.pid !== pid;
    });
    await stack.reach(await stack.start("later"), "RUNNING");
    await bench.check();
    console.log(`${offset} s: ${Math.round(systemClock.steadyMs() - jumpedMs)} ms`);
  },
);
