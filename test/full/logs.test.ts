import { GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { StopTaskCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StatusReport } from "../../src/core/status-report.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { firstProcesses } from "../support/kernel.ts";
import { smallDisk, type SmallDisk } from "../support/small-disk.ts";
import { createStack, LOG_GROUP, taskIdOf, type Stack } from "../support/stack.ts";

/** A task that logs while the disk of the data folder is full to the last byte. */

let disk: SmallDisk;
let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  disk = await smallDisk(700);
  instance = await startInstance([], { dataDir: disk.folder });
  stack = await createStack(instance);
});

afterAll(async () => {
  try {
    await disk.release();
    await removeWithoutTrace(instance);
  } finally {
    await disk[Symbol.asyncDispose]();
  }
});

async function ticks(taskArn: string): Promise<readonly { readonly number: number; readonly timestamp: number }[]> {
  const found: { readonly number: number; readonly timestamp: number }[] = [];
  for (let nextToken: string | undefined; ;) {
    const logStreamName = `test/tick/${taskIdOf(taskArn)}`;
    const page = await stack.logs.send(new GetLogEventsCommand({ logGroupName: LOG_GROUP, logStreamName, startFromHead: true, nextToken }));
    if ((page.events ?? []).length === 0) return found;
    for (const { message = "", timestamp = 0 } of page.events ?? []) {
      const number = /^tick (\d+)$/.exec(message)?.[1];
      if (number !== undefined) found.push({ number: Number(number), timestamp });
    }
    nextToken = page.nextForwardToken;
  }
}

async function problems(): Promise<StatusReport["problems"]> {
  const { stdout } = await instance.cli(["status", "--json"], { okCodes: [0, 1] });
  return (JSON.parse(stdout) as StatusReport).problems;
}

test("is not held up, is told of in words, and its log goes on by itself once there is room", { timeout: 180_000 }, async () => {
  const script = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
  const taskArn = await stack.start(await stack.define("tick", [{ name: "tick", command: ["sh", "-c", script] }]));
  await stack.reach(taskArn, "RUNNING");
  const process = await firstProcesses(instance.instanceId, "echo tick");
  expect(process).toHaveLength(1);
  await until("it is logged", async () => (await ticks(taskArn)).length > 50);

  await disk.fill();
  const [problem] = await until("status tells that logs cannot be stored", async () => {
    const found = (await problems()).filter(({ kind }) => kind === "logs");
    return found.length > 0 && found;
  });
  expect(problem?.what).toMatch(
    /^the logs of 1 containers cannot be stored, that of stream \/test:test\/tick\/[0-9a-f]{32} since .*: .*(?:no space left|ENOSPC)/,
  );
  expect(await firstProcesses(instance.instanceId, "echo tick")).toEqual(process);
  const last = (await ticks(taskArn)).at(-1);

  await disk.release();
  const after = await until("its lines arrive again", async () => {
    const now = await ticks(taskArn);
    return (now.at(-1)?.number ?? 0) > (last?.number ?? 0) + 200 && now;
  });
  // In order and once each; what is missing is of the time when containerd could write no line.
  const numbers = after.map(({ number }) => number);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  const gaps = numbers.filter((number, index) => index > 0 && number !== (numbers[index - 1] ?? 0) + 1).length;
  expect(gaps).toBeLessThanOrEqual(3);
  await until("status has no such problem any more", async () => (await problems()).every(({ kind }) => kind !== "logs"));
  expect(await firstProcesses(instance.instanceId, "echo tick")).toEqual(process);
  await stack.ecs.send(new StopTaskCommand({ task: taskArn }));
  await stack.reach(taskArn, "STOPPED");
});
