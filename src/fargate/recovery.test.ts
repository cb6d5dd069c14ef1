import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ContainerStatus, WorkloadStatus } from "../contracts/engine.ts";
import type { TaskHook } from "../contracts/task-hook.ts";
import type { Workload } from "../contracts/workload.ts";
import { createControllerRunner, type ControllerRunner } from "../control/controller-runner.ts";
import { FakeClock } from "../core/clock.ts";
import { Problem } from "../core/problem.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedLogCollector, createSimulatedNetwork, createSimulatedRuntime } from "../engines/simulated/index.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createFargate, type Fargate, type FargateOptions } from "./fargate.ts";
import { PLACEMENTS, STATUSES, USAGE } from "./records.ts";
import { testContainer, testFargateOptions, testWorkload } from "./testing.ts";

function openWorld() {
  const clock = new FakeClock();
  const ids = seededIds("recovery");
  return {
    clock,
    store: createMemoryStore(),
    runtime: createSimulatedRuntime({ clock, ids }),
    network: createSimulatedNetwork(),
    logs: createSimulatedLogCollector(),
  };
}

let world: ReturnType<typeof openWorld>;
let fargate: Fargate;
let runner: ControllerRunner;

async function boot(more: Partial<FargateOptions> = {}): Promise<void> {
  fargate = await createFargate(testFargateOptions(world, { warmSandboxes: 0, ...more }));
  await fargate.start();
  runner = createControllerRunner({ store: world.store, controllers: fargate.controllers, clock: world.clock, logger: silentLogger });
  await runner.start();
}

/** As kill -9: nothing is waited for. */
async function kill(): Promise<void> {
  await fargate.close();
  void runner.stop();
}

beforeEach(() => {
  world = openWorld();
});
afterEach(() => kill());

const USER = { code: "UserInitiated", reason: "Task stopped by user" } as const;
const workload = (more: Partial<Workload> = {}): Workload => testWorkload(more);
const status = async (id: string): Promise<WorkloadStatus | undefined> => (await fargate.engine.get(id))?.status;

/** Moves time until the workload is there; how far it came says the failure. */
async function reach(id: string, state: WorkloadStatus["state"]): Promise<WorkloadStatus> {
  for (let turn = 0; turn < 200; turn++) {
    const now = await status(id);
    if (now?.state === state) return now;
    await world.clock.advance(turn < 50 ? 10 : 1000);
  }
  throw new Error(`never ${state}: ${JSON.stringify(await status(id))}`);
}

describe("an attachment that its owner keeps", () => {
  const kept = { ...workload().network, attachmentId: "of-a-cluster", kept: true };
  const { account, region } = workload();
  const request = { account, region, ...kept, owner: "eks-1", description: "" };

  it("is used by one workload after another at the same address, and is there still when they have ended, also for a sweep", async () => {
    await boot();
    const { privateIpv4 } = await world.network.allocate(request);
    for (const id of ["a".repeat(32), "b".repeat(32)]) {
      await fargate.engine.start(workload({ id, network: kept }));
      expect((await reach(id, "RUNNING")).network?.privateIpv4).toBe(privateIpv4);
      expect(world.network.plugged.has(kept.attachmentId)).toBe(true);
      await fargate.engine.stop(id, USER);
      await reach(id, "STOPPED");
      expect(world.network.plugged.has(kept.attachmentId)).toBe(false);
    }
    await kill();
    await boot();
    expect((await world.network.list()).map(({ owner }) => owner)).toEqual(["eks-1"]);
  });

  it("is not made for a workload whose owner gave it back", async () => {
    await boot();
    await fargate.engine.start(workload({ network: kept }));
    expect((await reach(workload().id, "STOPPED")).stop?.reason).toContain("of-a-cluster");
    expect(await world.network.list()).toEqual([]);
  });
});

it("what probes said of a container stands after a kill until they say otherwise", async () => {
  const probe = {
    action: { type: "exec", command: ["x"] },
    initialDelaySeconds: 0,
    periodSeconds: 10,
    timeoutSeconds: 1,
    failureThreshold: 1,
    successThreshold: 2,
  } as const;
  const probes = { startup: { ...probe, successThreshold: 1 }, readiness: probe };
  await boot();
  const { id } = workload();
  await fargate.engine.start(workload({ containers: [testContainer("web", { probes }), testContainer("late", { probes: { startup: probe } })] }));
  await reach(id, "RUNNING");
  for (let seconds = 0; seconds < 40; seconds++) await world.clock.advance(1000);
  const before = await status(id);
  expect(before?.containers).toMatchObject([
    { ready: true, started: true },
    { ready: true, started: true },
  ]);
  await kill();
  const said: (readonly ContainerStatus[])[] = [];
  using _watch = world.store.watch(STATUSES, ({ value }) => void (value !== undefined && said.push(value.containers)));
  await boot();
  // Not even one probe of the readiness, which needs two to be ready from nothing.
  await world.clock.advance(5000);
  expect(said.flat().filter(({ ready, started }) => !ready || started !== true)).toEqual([]);
  expect((await status(id))?.containers).toEqual(before?.containers);
});

describe("what is lost", () => {
  it("a reboot ends what ran, with a reason, and says so once", async () => {
    await boot();
    const { id } = workload();
    await fargate.engine.start(workload());
    await reach(id, "RUNNING");
    await kill();
    world.runtime.reboot();
    await boot();
    const stopped = await reach(id, "STOPPED");
    expect(stopped.stop).toEqual({ code: "TerminationNotice", reason: expect.stringContaining("host that ran the task was restarted") as string });
    expect(stopped.containers[0]).toMatchObject({
      state: "STOPPED",
      exitCode: 137,
      reason: expect.stringMatching(/^ContainerVanishedError/) as string,
    });
    expect(await world.network.list()).toEqual([]);
    expect(await world.store.list(PLACEMENTS)).toEqual([]);
  });

  it("a sandbox that is taken away while Tidegate runs ends its workload", async () => {
    await boot();
    const { id } = workload();
    await fargate.engine.start(workload());
    await reach(id, "RUNNING");
    const [sandbox] = await world.runtime.listSandboxes();
    world.runtime.loseSandbox(sandbox?.id ?? "");
    expect((await reach(id, "STOPPED")).stop?.code).toBe("TerminationNotice");
  });

  it("a warm sandbox that dies is replaced, and one that is left is adopted", async () => {
    await boot({ warmSandboxes: 2 });
    await world.clock.advance(1000);
    const before = await world.runtime.listSandboxes();
    expect(before).toHaveLength(2);
    world.runtime.loseSandbox(before[0]?.id ?? "");
    await world.clock.advance(1000);
    const after = await world.runtime.listSandboxes();
    expect(after).toHaveLength(2);
    await kill();
    await boot({ warmSandboxes: 2 });
    await world.clock.advance(1000);
    expect((await world.runtime.listSandboxes()).map((each) => each.id)).toEqual(after.map((each) => each.id));
    await fargate.engine.start(workload());
    await reach(workload().id, "RUNNING");
    expect(world.runtime.counts().createSandbox).toBe(3);
    await world.clock.advance(1000);
    expect(world.runtime.counts().createSandbox).toBe(4);
  });
});

it("waits while the runtime is down, and goes on when it is back, without a second start", async () => {
  await boot();
  const first = workload();
  const second = workload({ id: "f".repeat(32), network: { ...first.network, attachmentId: "second" } });
  await fargate.engine.start(first);
  await reach(first.id, "RUNNING");
  world.runtime.setDown(true);
  await fargate.engine.start(second);
  await fargate.engine.stop(first.id, USER);
  await world.clock.advance(6000);
  expect((await status(first.id))?.state).toBe("STOPPING");
  expect((await status(second.id))?.state).toBe("PROVISIONING");
  world.runtime.setDown(false);
  expect((await reach(first.id, "STOPPED")).containers[0]?.exitCode).toBe(143);
  await reach(second.id, "RUNNING");
  expect(world.runtime.counts().startContainer).toBe(2);
});

it("a restart of Tidegate does not lengthen the grace", async () => {
  world.runtime.setScript({ otherwise: { stopsAfterMs: 3_600_000 } });
  await boot();
  const { id } = workload();
  await fargate.engine.start(workload());
  await reach(id, "RUNNING");
  const startMs = world.clock.nowMs();
  await fargate.engine.stop(id, USER);
  await world.clock.advance(20_000);
  await kill();
  await boot();
  const stopped = await reach(id, "STOPPED");
  expect(stopped.containers[0]?.exitCode).toBe(137);
  expect((stopped.containers[0]?.finishedAtMs ?? 0) - startMs).toBeLessThanOrEqual(31_000);
});

describe("the logs of what an earlier Tidegate started", () => {
  const log = { type: "awslogs", account: "123456789012", region: "us-east-1", group: "g", stream: "web/1", createGroup: false } as const;
  const logging = (): Workload => workload({ containers: [testContainer("web", { log })] });
  const sourceId = `${workload().id}/web/0`;

  async function bootAgainUnable(kind: "unavailable" | "not-found"): Promise<() => number> {
    await boot();
    await fargate.engine.start(logging());
    await reach(workload().id, "RUNNING");
    await kill();
    const logs = createSimulatedLogCollector();
    let failures = 0;
    world.logs = {
      ...logs,
      follow: async (source) => {
        if (failures++ < 3 || kind === "not-found") throw new Problem(kind, "as told");
        await logs.follow(source);
      },
    };
    await boot();
    return () => failures;
  }

  it("are followed again once they can be", async () => {
    await bootAgainUnable("unavailable");
    await world.clock.advance(200);
    expect([...world.logs.following.keys()]).toEqual([]);
    await world.clock.advance(2_000);
    expect([...world.logs.following.keys()]).toEqual([sourceId]);
  });

  it("are followed through a stop that takes its time", async () => {
    world.runtime.setScript({ otherwise: { stopsAfterMs: 3_600_000 } });
    await bootAgainUnable("unavailable");
    await fargate.engine.stop(workload().id, USER);
    await world.clock.advance(5_000);
    expect(await status(workload().id)).toMatchObject({ state: "STOPPING" });
    expect([...world.logs.following.keys()]).toEqual([sourceId]);
    await reach(workload().id, "STOPPED");
    expect([...world.logs.following.keys()]).toEqual([]);
    expect([...world.logs.finished]).toEqual([sourceId]);
  });

  it("are asked for once where their group was deleted", async () => {
    const tries = await bootAgainUnable("not-found");
    await world.clock.advance(60_000);
    expect(tries()).toBe(1);
    expect(await status(workload().id)).toMatchObject({ state: "RUNNING" });
  });
});

it("writes what is to be billed: from the pull to the stop, in whole seconds", async () => {
  world.runtime.setScript({ otherwise: { pullDelayMs: 2000 } });
  await boot();
  const { id } = workload();
  await fargate.engine.start(workload());
  await reach(id, "RUNNING");
  await world.clock.advance(100_500);
  await fargate.engine.stop(id, USER);
  const stopped = await reach(id, "STOPPED");
  const usage = await world.store.get(USAGE, id);
  expect(usage?.value).toMatchObject({ workloadId: id, cpuUnits: 256, memoryMiB: 512, fromMs: stopped.pullStartedAtMs, toMs: stopped.stoppedAtMs });
  expect(usage?.value.seconds).toBe(Math.ceil(((stopped.stoppedAtMs ?? 0) - (stopped.pullStartedAtMs ?? 0)) / 1000));
});

it("is idle without timers while a workload simply runs", async () => {
  await boot();
  await fargate.engine.start(workload());
  await reach(workload().id, "RUNNING");
  // The sweep after the start is over then.
  await world.clock.advance(15_000);
  expect(world.clock.pendingDelaysMs()).toEqual([]);
});

describe("images", () => {
  it.each([
    ["not-found", "The task can’t pull the image. Check whether the image exists. words"],
    ["unavailable", "The task cannot pull web:latest from the registry docker.io. There is a connection issue between the task and the registry."],
    ["invalid", "CannotPullContainerError: words"],
  ] as const)("%s: %s", async (kind, text) => {
    world.runtime.setScript({ otherwise: { pullFails: { kind, message: "words" } } });
    await boot();
    await fargate.engine.start(workload());
    const stopped = await reach(workload().id, "STOPPED");
    expect(stopped.stop?.code).toBe("TaskFailedToStart");
    expect(stopped.stop?.reason).toContain(text);
    expect(stopped.containers[0]?.reason).toBe(stopped.stop?.reason);
  });

  it.each([
    ["startFails", "CannotStartContainerError: exec: no such file"],
    ["createFails", "CannotCreateContainerError: exec: no such file"],
  ])("%s", async (member, reason) => {
    world.runtime.setScript({ otherwise: { [member]: "exec: no such file" } });
    await boot();
    await fargate.engine.start(workload());
    const stopped = await reach(workload().id, "STOPPED");
    expect(stopped.stop).toEqual({ code: "TaskFailedToStart", reason });
    expect(stopped.containers[0]?.exitCode).toBeUndefined();
  });
});

describe("hooks", () => {
  const calls: string[] = [];
  let drained = false;
  const hook: TaskHook = {
    name: "watcher",
    prestart: async (view) => {
      calls.push(`prestart ${view.status.network?.privateIpv4}`);
      return { done: true };
    },
    poststart: async () => {
      calls.push("poststart");
      return { done: true };
    },
    prestop: async () => {
      calls.push("prestop");
      return drained ? { done: true } : { done: false, waitingFor: "draining", retryAfterMs: 60_000 };
    },
    stop: async () => {
      calls.push("stop");
      return { done: true };
    },
  };
  beforeEach(() => {
    calls.length = 0;
    drained = false;
  });

  it("take part in the order of a life, and hold the stop back until they are done", async () => {
    await boot({ hooks: [hook] });
    const { id } = workload();
    await fargate.engine.start(workload({ hooks: ["watcher"] }));
    await reach(id, "RUNNING");
    expect(calls).toEqual(["prestart 10.0.0.4", "poststart"]);
    await fargate.engine.stop(id, USER);
    await world.clock.advance(30_000);
    expect(await status(id)).toMatchObject({ state: "DEACTIVATING", containers: [{ state: "RUNNING" }] });
    expect(calls.slice(2)).toEqual(["prestop"]);
    drained = true;
    fargate.wake(id);
    await world.clock.advance(100);
    expect((await status(id))?.state).toBe("STOPPED");
    expect(calls.slice(2)).toEqual(["prestop", "prestop", "stop"]);
  });

  it("are asked again in their own time, and after a restart", async () => {
    await boot({ hooks: [hook] });
    const { id } = workload();
    await fargate.engine.start(workload({ hooks: ["watcher"] }));
    await reach(id, "RUNNING");
    await fargate.engine.stop(id, USER);
    await world.clock.advance(1000);
    await kill();
    await boot({ hooks: [hook] });
    await world.clock.advance(1000);
    expect(calls.filter((call) => call === "prestop")).toHaveLength(2);
    drained = true;
    await world.clock.advance(60_000);
    expect((await status(id))?.state).toBe("STOPPED");
  });

  it("do not drain what is dead", async () => {
    world.runtime.setScript({ otherwise: { runsForMs: 5000, exitCode: 1 } });
    await boot({ hooks: [hook] });
    await fargate.engine.start(workload({ hooks: ["watcher"] }));
    await reach(workload().id, "STOPPED");
    expect(calls).toEqual(["prestart 10.0.0.4", "poststart", "stop"]);
  });

  it("fail the start with their words; one that is not there, by name", async () => {
    const refusing: TaskHook = {
      name: "refusing",
      prestart: async () => {
        throw new Problem("invalid", "ResourceInitializationError: no");
      },
    };
    await boot({ hooks: [refusing] });
    await fargate.engine.start(workload({ hooks: ["refusing"] }));
    expect((await reach(workload().id, "STOPPED")).stop).toEqual({ code: "TaskFailedToStart", reason: "ResourceInitializationError: no" });
    const second = workload({ id: "f".repeat(32), hooks: ["nobody"], network: { ...workload().network, attachmentId: "second" } });
    await fargate.engine.start(second);
    expect((await reach(second.id, "STOPPED")).stop?.reason).toContain("no task hook named nobody");
    expect(world.runtime.counts().startContainer).toBe(0);
  });
});

describe("refusals", () => {
  it.each<[string, Partial<Workload>]>([
    [
      "in a circle: a, b",
      {
        containers: [
          testContainer("a", { dependsOn: [{ container: "b", condition: "started" }] }),
          testContainer("b", { dependsOn: [{ container: "a", condition: "started" }] }),
        ],
      },
    ],
    ["two containers are named a", { containers: [testContainer("a"), testContainer("a")] }],
    ["which the workload does not have", { containers: [testContainer("a", { mounts: [{ volume: "v", containerPath: "/v", readOnly: false }] })] }],
    ["only system workloads", { volumes: [{ name: "v", type: "host", path: "/etc" }] }],
    ["sysctl kernel.panic", { sysctls: [{ name: "kernel.panic", value: "1" }] }],
    ["sysctl net.ipv4/../../kernel/panic", { sysctls: [{ name: "net.ipv4/../../kernel/panic", value: "1" }] }],
    ["no producer named phase-of-moon", { containers: [testContainer("a", { environment: [{ name: "X", producer: "phase-of-moon" }] })] }],
  ])("%s", async (words, more) => {
    await boot();
    await expect(fargate.engine.start(workload(more))).rejects.toThrow(words);
    expect(await fargate.engine.list()).toEqual([]);
  });

  it("promises no more memory than there is, and gives back what has stopped", async () => {
    await boot({ hostMemoryMiB: 1024, memoryOvercommit: 1, reserveMiB: 0 });
    const at = (index: number): Workload => workload({ id: String(index).repeat(32), network: { ...workload().network, attachmentId: `a${index}` } });
    await fargate.engine.start(at(1));
    await fargate.engine.start(at(2));
    await expect(fargate.engine.start(at(3))).rejects.toMatchObject({ kind: "exhausted" });
    await kill();
    await boot({ hostMemoryMiB: 1024, memoryOvercommit: 1, reserveMiB: 0 });
    await expect(fargate.engine.start(at(3))).rejects.toMatchObject({ kind: "exhausted" });
    await fargate.engine.stop(at(1).id, USER);
    await reach(at(1).id, "STOPPED");
    await fargate.engine.start(at(3));
  });
});

it("takes everything away when told, and says so in the records", async () => {
  await boot({ warmSandboxes: 2 });
  await fargate.engine.start(workload());
  await reach(workload().id, "RUNNING");
  await world.clock.advance(1000);
  await runner.stop();
  await fargate.removeEverything();
  expect(await world.runtime.listSandboxes()).toEqual([]);
  expect(await world.network.list()).toEqual([]);
  expect([...world.runtime.groups()]).toEqual([]);
  expect(await status(workload().id)).toMatchObject({ state: "STOPPED", containers: [{ state: "STOPPED", exitCode: 137 }] });
});
