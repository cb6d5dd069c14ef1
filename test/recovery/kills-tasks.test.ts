import { readdir, readFile } from "node:fs/promises";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ListTasksCommand,
  paginateListTasks,
  type Task,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { until } from "../support/instance.ts";
import { firstProcesses, theProcess } from "../support/kernel.ts";
import { taskIdOf } from "../support/stack.ts";
import { rounds } from "./matrix.ts";
import { createBench, type Bench } from "./support/bench.ts";

/** What of a task dies by itself or by another's hand: its main process, its memory, its shim. The task says so, its service replaces it. */

const TIMEOUT_MS = 15 * 60_000;
const COUNT = rounds({ part: 1, whole: 10 });

let bench: Bench;

beforeAll(async () => {
  bench = await createBench();
});

afterAll(() => bench?.[Symbol.asyncDispose]());

async function tasksOfSteady(): Promise<readonly Task[]> {
  const { ecs } = bench.stack;
  const { taskArns = [] } = await ecs.send(new ListTasksCommand({ serviceName: "steady" }));
  return taskArns.length === 0 ? [] : ((await ecs.send(new DescribeTasksCommand({ tasks: taskArns }))).tasks ?? []);
}

/** The shim that has this process as a container's first one: its parent. */
async function shimOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  expect(await readFile(`/proc/${parent}/cmdline`, "utf8")).toContain("containerd-shim");
  return parent;
}

/** Runs a task whose command carries its marker, and answers its first process once it runs. */
async function running(marker: string): Promise<{ readonly taskArn: string; readonly pid: number }> {
  const command = ["sh", "-c", `trap 'exit 0' TERM; while :; do sleep 0.3; : ${marker}; done`];
  const taskDefinition = await bench.stack.define(marker, [{ name: "app", command }]);
  const taskArn = await bench.stack.start(taskDefinition);
  await bench.stack.reach(taskArn, "RUNNING");
  return { taskArn, pid: (await theProcess(bench.instance.instanceId, marker)).pid };
}

/** The steady service has two running tasks again, neither of them the one that died, and the host is as the store says. */
async function replaced(taskArn: string): Promise<void> {
  await until("the service has replaced the task", async () => {
    const tasks = await tasksOfSteady();
    const isWhole = tasks.length === 2 && tasks.every(({ lastStatus }) => lastStatus === "RUNNING");
    return isWhole && !tasks.some((task) => task.taskArn === taskArn);
  });
  await bench.stable("steady");
  await bench.stateAgrees();
}

/** Which of the steady service's tasks a process is of, by the name of its host, which is its task's address. */
async function steadyTaskOf(pid: number): Promise<string> {
  const mounts = await readFile(`/proc/${pid}/mountinfo`, "utf8");
  const task = (await tasksOfSteady()).find(({ taskArn = "" }) => mounts.includes(`workloads/${taskIdOf(taskArn)}/`));
  return task?.taskArn ?? "";
}

describe.each(["serving", "dead"] as const)("while the control plane is %s", (plane) => {
  /** Lets something die, with the control plane in the state of this block. */
  async function whilst(die: () => Promise<unknown>): Promise<void> {
    if (plane === "dead") await bench.plane.kill();
    await die();
    if (plane === "dead") {
      bench.plane.spawn();
      await bench.plane.serving();
    }
  }

  test("a main process that is killed: exit code 137, and no other reason", { timeout: TIMEOUT_MS }, async () => {
    for (let round = 1; round <= COUNT; round++) {
      const { taskArn, pid } = await running(`main-${plane}-${round}-`);
      await whilst(async () => process.kill(pid, "SIGKILL"));
      const task = await bench.stack.reach(taskArn, "STOPPED");
      expect(task).toMatchObject({ stopCode: "EssentialContainerExited", stoppedReason: "Essential container in task exited" });
      expect(task.containers?.[0]).toMatchObject({ lastStatus: "STOPPED", exitCode: 137 });
      expect(task.containers?.[0]?.reason).toBeUndefined();
      await bench.stateAgrees();
    }
  });

  test("memory that runs out: OutOfMemoryError for who took it, and for nobody else", { timeout: TIMEOUT_MS }, async () => {
    for (let round = 1; round <= COUNT; round++) {
      const marker = `oom-${plane}-${round}-`;
      // `tail` keeps a last line of any length; it begins when the test says so.
      const glutton = ["sh", "-c", `: ${marker}; while [ ! -e /go ]; do sleep 0.1; done; exec tail /dev/zero`];
      const sibling = ["sh", "-c", `trap 'exit 0' TERM; while :; do sleep 0.3; : sibling-${marker}; done`];
      const taskDefinition = await bench.stack.define(
        marker,
        [
          { name: "glutton", command: glutton, memory: 64 },
          { name: "sibling", command: sibling, essential: false },
        ],
        {},
      );
      const taskArn = await bench.stack.start(taskDefinition);
      await bench.stack.reach(taskArn, "RUNNING");
      const first = await until("the glutton runs", async () =>
        (await firstProcesses(bench.instance.instanceId, `: ${marker}`)).find(({ command }) => command.includes("/dev/zero")),
      );
      await whilst(async () => {
        const { open } = await import("node:fs/promises");
        await (await open(`/proc/${first.pid}/root/go`, "w")).close();
        await until("the kernel has killed it", async () => !(await readdir("/proc")).includes(String(first.pid)));
      });
      const task = await bench.stack.reach(taskArn, "STOPPED");
      expect(task).toMatchObject({ stopCode: "EssentialContainerExited", stoppedReason: "Essential container in task exited" });
      const of = (name: string) => task.containers?.find((container) => container.name === name);
      expect(of("glutton")).toMatchObject({ exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" });
      expect(of("sibling")?.reason).toBeUndefined();
      await bench.stateAgrees();
    }
  });

  test("a shim that is killed: the task ends in words, and nothing of it goes on", { timeout: TIMEOUT_MS }, async () => {
    for (let round = 1; round <= COUNT; round++) {
      const marker = `shim-${plane}-${round}-`;
      const { taskArn, pid } = await running(marker);
      const shim = await shimOf(pid);
      await whilst(async () => process.kill(shim, "SIGKILL"));
      const task = await bench.stack.reach(taskArn, "STOPPED");
      // Who watches over containers sees either end first.
      expect([
        "Essential container in task exited",
        "The host that ran the task was restarted, or the task's sandbox was ended from outside Tidegate.",
      ]).toContain(task.stoppedReason);
      expect(task.containers?.[0]).toMatchObject({
        lastStatus: "STOPPED",
        exitCode: 255,
        reason: expect.stringContaining("ContainerRuntimeError: the process that watches over the container on its host (containerd-shim) was ended"),
      });
      await until("no process of it is left", async () => (await firstProcesses(bench.instance.instanceId, marker)).length === 0);
      await bench.stateAgrees();
    }
  });

  test("each of these in a service: it is replaced", { timeout: TIMEOUT_MS }, async () => {
    for (const kill of ["main process", "shim"]) {
      const [victim] = await bench.processes();
      const taskArn = await steadyTaskOf(victim?.pid ?? 0);
      const target = kill === "shim" ? await shimOf(victim?.pid ?? 0) : (victim?.pid ?? 0);
      await whilst(async () => process.kill(target, "SIGKILL"));
      await replaced(taskArn);
    }
  });
});

describe("containers that crash, all at once and again and again", () => {
  const tasks = rounds({ part: 8, whole: 50 });
  const serviceName = "crashing";
  const begun = new Set<string>();

  /** How many tasks of the service there were so far. */
  async function starts(): Promise<number> {
    const client = bench.stack.ecs;
    for (const desiredStatus of ["RUNNING", "STOPPED"] as const) {
      for await (const { taskArns = [] } of paginateListTasks({ client }, { serviceName, desiredStatus })) for (const arn of taskArns) begun.add(arn);
    }
    return begun.size;
  }

  test("are started again with a back-off, their neighbour loses no request, and they run once they can", { timeout: TIMEOUT_MS }, async () => {
    const { stack } = bench;
    const { ecs } = stack;
    const crashing = await stack.define("crashing", [{ name: "app", command: ["sh", "-c", "exit 3"] }]);
    const works = await stack.define("works", [{ name: "app", command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.3; : works-; done"] }]);
    // The tests before this one end the neighbour's tasks, which costs requests.
    const failedBefore = bench.failures();
    const neighbours = await bench.processes();
    const beganMs = systemClock.steadyMs();
    await ecs.send(
      new CreateServiceCommand({
        serviceName,
        taskDefinition: crashing,
        desiredCount: tasks,
        launchType: "FARGATE",
        networkConfiguration: stack.network(),
      }),
    );
    const waves = 4;
    let slowestMs = 0;
    const ask = async (): Promise<void> => {
      const askedMs = systemClock.steadyMs();
      await ecs.send(new DescribeServicesCommand({ services: [serviceName] }));
      slowestMs = Math.max(slowestMs, systemClock.steadyMs() - askedMs);
    };
    const startedAll = async (): Promise<boolean> => {
      await ask();
      return (await starts()) >= waves * tasks;
    };
    await until(`each was started ${waves} times`, startedAll, TIMEOUT_MS);
    const tookMs = systemClock.steadyMs() - beganMs;
    const figures = `${waves} starts of each in ${Math.round(tookMs)} ms; DescribeServices answered within ${Math.round(slowestMs)} ms`;
    console.log(`${tasks} containers that crash: ${figures}`);
    expect(slowestMs).toBeLessThan(30_000);
    // 1, 2 and 4 s lie between them.
    expect(tookMs).toBeGreaterThan(7_000);
    await ecs.send(new UpdateServiceCommand({ service: serviceName, taskDefinition: works }));
    await bench.stable(serviceName);
    expect(await firstProcesses(bench.instance.instanceId, "works-")).toHaveLength(tasks);
    await ecs.send(new DeleteServiceCommand({ service: serviceName, force: true }));
    await until("all have ended", async () => (await firstProcesses(bench.instance.instanceId, "works-")).length === 0);
    expect(bench.failures()).toEqual(failedBefore);
    expect(await bench.processes()).toEqual(neighbours);
    await bench.stateAgrees();
  });
});
