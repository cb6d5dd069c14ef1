import { GetLogEventsCommand, type OutputLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import { StopTaskCommand } from "@aws-sdk/client-ecs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { createStack, LOG_GROUP, taskIdOf, type Stack } from "../support/stack.ts";
import { randomOf, rounds, seed } from "./matrix.ts";

/** Log lines over kills, and beside a flood. What is read: the events by the API, the log files that containerd writes, /proc. */

const MIB = 1024 * 1024;
const LINES = 100_000;
/** A third of what is stored of the writer's lines, or a little less. */
const THIRD = 5.5 * MIB;
/** 100,000 numbered lines at full speed, lines longer than an event, and one that is written in two halves. */
const WRITER = [
  `busybox awk 'BEGIN { pad = sprintf("%0150d", 0); for (i = 1; i <= ${LINES}; i++) print "line", i, pad }'`,
  'for i in 1 2 3; do echo -n "long $i "; head -c 307200 /dev/zero | busybox tr "\\0" x; echo; done',
  'echo -n "one "; sleep 1; echo "line"',
  "echo end",
  "exec sleep 1000",
].join("; ");

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});

afterAll(() => removeWithoutTrace(instance));

/** All events of a container's stream, page by page. */
async function events(taskArn: string, container: string): Promise<readonly OutputLogEvent[]> {
  const found: OutputLogEvent[] = [];
  for (let nextToken: string | undefined; ;) {
    const page = await stack.logs.send(
      new GetLogEventsCommand({
        logGroupName: LOG_GROUP,
        logStreamName: `test/${container}/${taskIdOf(taskArn)}`,
        startFromHead: true,
        nextToken,
      }),
    );
    if ((page.events ?? []).length === 0) return found;
    found.push(...(page.events ?? []));
    nextToken = page.nextForwardToken;
  }
}

/** Of all files under a folder of the instance's data whose path contains `part`. */
async function bytesUnder(folder: string, part: string): Promise<number> {
  const root = join(instance.dataDir, folder);
  const names = (await readdir(root, { recursive: true }).catch(() => [])).filter((name) => name.includes(part));
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(root, name)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Resolves with the size of the log store as soon as it has so much; looks often, to catch it in the middle. */
async function stored(atLeastBytes: number): Promise<number> {
  const untilMs = systemClock.steadyMs() + 60_000;
  for (;;) {
    const bytes = await bytesUnder("logs", ".seg");
    if (bytes >= atLeastBytes) return bytes;
    if (systemClock.steadyMs() > untilMs) throw new Error(`waited 60 s in vain until ${atLeastBytes} bytes were stored; there are ${bytes}`);
    await systemClock.sleep(2);
  }
}

/** Of the processes that serve this instance: the control plane. */
async function serverPid(): Promise<number> {
  return (JSON.parse(await readFile(join(instance.runDir, "server.json"), "utf8")) as { pid: number }).pid;
}

async function residentMiB(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

describe("100,000 lines at full speed, lines of 300 KiB and a line in halves", () => {
  const random = randomOf("log flood");
  test.for(Array.from({ length: rounds({ part: 1, whole: 10 }) }, (_, index) => index))(
    "are stored once each, in order, over three kills of the control plane (round %i)",
    { timeout: 180_000 },
    async (round) => {
      const name = `writer${round}`;
      const words = `seed ${seed}, round ${round}`;
      const before = await bytesUnder("logs", ".seg");
      const taskArn = await stack.start(await stack.define(name, [{ name, command: ["sh", "-c", WRITER] }]));
      const kills: number[] = [];
      for (let kill = 0; kill < 3; kill++) {
        kills.push((await stored(before + kill * THIRD + random.between(0, THIRD))) - before);
        await instance.kill();
        await instance.up();
      }
      const found = await until(
        "the last line is stored",
        async () => {
          const now = await events(taskArn, name);
          return now.at(-1)?.message === "end" && now;
        },
        120_000,
      );
      const numbered = found.filter(({ message }) => message?.startsWith("line "));
      const numbers = numbered.map(({ message }) => Number(message?.split(" ")[1]));
      const firstWrong = numbers.findIndex((number, index) => number !== index + 1);
      expect(firstWrong, `${words}: around ${numbers.slice(Math.max(0, firstWrong - 2), firstWrong + 3).join()}`).toBe(-1);
      expect(numbers.length, words).toBe(LINES);
      const rest = found.slice(LINES).map(({ message = "" }) => message);
      expect(
        rest.join("\n").replaceAll(/x{1000,}/g, (run) => `<${run.length}>`),
        words,
      ).toBe(
        [1, 2, 3]
          .flatMap((number) => [`long ${number} <262111>`, "<45089>"])
          .concat("one line", "end")
          .join("\n"),
      );
      // Rotated, and what is stored is gone: at most the current file and the one before it.
      expect(await bytesUnder("sandboxes", `${name}/`), words).toBeLessThan(32 * MIB);
      process.stdout.write(`log flood: killed with ${kills.map((bytes) => (bytes / MIB).toFixed(1)).join(", ")} MiB stored (seed ${seed})\n`);
      await stack.ecs.send(new StopTaskCommand({ task: taskArn }));
    },
  );
});

describe("containerd killed while a container writes", () => {
  /** What containerd had read from the container and not written yet: its copy buffer, its reader's, and a line under way. */
  const MOST_LOST_BYTES = 64 * 1024;
  const LINE_BYTES = 170;
  const random = randomOf("containerd log");

  test(
    "costs what it held in memory at that instant, no more; the rest is there once, in order, and the task runs on",
    { timeout: 180_000 },
    async () => {
      const words = `seed ${seed}`;
      const script = `busybox awk 'BEGIN { pad = sprintf("%0150d", 0); for (i = 1; i <= ${3 * LINES}; i++) print "line", i, pad }'; echo end; exec sleep 1000`;
      const taskArn = await stack.start(await stack.define("steady", [{ name: "steady", command: ["sh", "-c", script] }]));
      const kills = rounds({ part: 2, whole: 3 });
      const before = await bytesUnder("logs", ".seg");
      for (let kill = 0; kill < kills; kill++) {
        const atBytes = before + kill * 8 * MIB + random.between(MIB, 8 * MIB);
        while ((await bytesUnder("logs", ".seg")) < atBytes) await systemClock.sleep(2);
        const killed = await containerdPid();
        process.kill(killed, "SIGKILL");
        if (kill === 1) await instance.kill();
        if (kill === 1) await instance.up();
        await until("containerd is back", async () => (await containerdPid()) !== killed);
      }
      const found = await until(
        "the last line is stored",
        async () => {
          const now = await events(taskArn, "steady");
          return now.at(-1)?.message === "end" && now;
        },
        120_000,
      );
      const numbers = found.flatMap(({ message = "" }) => /^line (\d+) 0{150}$/.exec(message)?.[1] ?? []).map(Number);
      expect(numbers, words).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(numbers.at(-1), words).toBe(3 * LINES);
      const lost = 3 * LINES - numbers.length;
      expect(lost * LINE_BYTES, words).toBeLessThanOrEqual(kills * MOST_LOST_BYTES);
      process.stdout.write(`containerd killed ${kills} times in a flood: ${lost} of ${3 * LINES} lines lost (seed ${seed})\n`);
      expect((await stack.task(taskArn)).lastStatus).toBe("RUNNING");
      await stack.ecs.send(new StopTaskCommand({ task: taskArn }));
    },
  );

  async function containerdPid(): Promise<number> {
    const record = await until("containerd's record is there", () =>
      readFile(join(instance.runDir, "daemons", "containerd.json"), "utf8").catch(() => undefined),
    );
    return (JSON.parse(record) as { pid: number }).pid;
  }
});

describe("tasks that flood their logs", () => {
  test("hurt no neighbour: its lines arrive, memory and disk stay bounded", { timeout: 180_000 }, async () => {
    const flood = await stack.define("flood", [{ name: "flood", command: ["sh", "-c", `exec yes ${"flood".repeat(20)}`] }]);
    const tick = await stack.define("tick", [{ name: "tick", command: ["sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"] }]);
    const silent = await stack.define("silent", [
      { name: "silent", command: ["sh", "-c", `exec yes ${"flood".repeat(20)}`], logConfiguration: undefined },
    ]);
    const neighbour = await stack.start(tick);
    const floods = [await stack.start(flood), await stack.start(flood), await stack.start(silent)];
    await Promise.all([neighbour, ...floods].map((taskArn) => stack.reach(taskArn, "RUNNING")));
    const pid = await serverPid();
    const before = (await events(neighbour, "tick")).length;
    let mostMiB = 0;
    let mostBytes = 0;
    const found = await until("the neighbour has written for some seconds", async () => {
      mostMiB = Math.max(mostMiB, await residentMiB(pid));
      mostBytes = Math.max(mostBytes, await bytesUnder("sandboxes", ".log"));
      const now = await events(neighbour, "tick");
      return now.length > before + 60 && now;
    });
    expect(found.map(({ message }) => message)).toEqual(found.map((_, index) => `tick ${index + 1}`));
    const latencies = found
      .slice(before)
      .map(({ timestamp = 0, ingestionTime = 0 }) => ingestionTime - timestamp)
      .sort((a, b) => a - b);
    const [median = 0, most = 0] = [latencies[latencies.length >> 1], latencies.at(-1)];
    const storedMiB = (await bytesUnder("logs", ".seg")) / MIB;
    process.stdout.write(
      `beside two floods: a neighbour's line is stored after ${median} ms (median), ${most} ms (most); control plane ${mostMiB.toFixed(0)} MiB; ` +
        `log files ${(mostBytes / MIB).toFixed(0)} MiB; ${storedMiB.toFixed(0)} MiB stored\n`,
    );
    // A starved stream would wait as long as the flood lasts.
    expect(median).toBeLessThan(15_000);
    expect(mostMiB).toBeLessThan(700);
    expect(mostBytes).toBeLessThan(400 * MIB);
    // No awslogs, no file.
    expect(await bytesUnder("sandboxes", "silent/")).toBe(0);
    await Promise.all([neighbour, ...floods].map((task) => stack.ecs.send(new StopTaskCommand({ task }))));
    await Promise.all([neighbour, ...floods].map((taskArn) => stack.reach(taskArn, "STOPPED")));
  });
});
