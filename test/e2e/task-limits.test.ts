import { readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { StopTaskCommand, type Task } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { containerProcesses, isCgroup2, taskGroup, theProcess, vpcNamespaces, type ContainerProcess } from "../support/kernel.ts";
import { startPulse, type PulseRun } from "../support/pulse-run.ts";
import { addressOf, createStack, taskIdOf, type Stack } from "../support/stack.ts";

/** What tasks are given, as the kernel has it, and what they cannot take from their neighbours. */

const shell = (script: string): { command: string[] } => ({ command: ["sh", "-c", script] });

let instance: TestInstance;
let stack: Stack;
/** Runs beside all of it: what it has on disk is measured meanwhile. */
let writer: string;
beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
  const ask = "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task | grep -o 'EphemeralStorageMetrics[^}]*'";
  const script = `dd if=/dev/zero of=/layer bs=1M count=30; dd if=/dev/zero of=/data/volume bs=1M count=20; while :; do ${ask}; sleep 2; done`;
  const container = { name: "app", mountPoints: [{ sourceVolume: "data", containerPath: "/data" }], ...shell(script) };
  writer = await stack.start(await stack.define("writer", [container], { volumes: [{ name: "data" }], ephemeralStorage: { sizeInGiB: 21 } }));
});
afterAll(() => removeWithoutTrace(instance));

async function stop(taskArn: string): Promise<Task> {
  await stack.ecs.send(new StopTaskCommand({ task: taskArn }));
  return stack.reach(taskArn, "STOPPED");
}

/** A field of /proc/<pid>/status. */
async function field({ pid }: ContainerProcess, name: string): Promise<string> {
  const line = (await readFile(`/proc/${pid}/status`, "utf8")).split("\n").find((text) => text.startsWith(`${name}:`));
  return (line ?? "").slice(name.length + 1).trim();
}

/** Docker's fourteen. */
const DEFAULT_CAPABILITIES = 0xa80425fbn;
const [NET_RAW, SYS_PTRACE, MKNOD] = [1n << 13n, 1n << 19n, 1n << 27n] as const;

describe("a task definition's rights", () => {
  test("are the container's processes' own, in the kernel", async () => {
    const definition = await stack.define(
      "rights",
      [
        {
          name: "fenced",
          user: "node:audio",
          readonlyRootFilesystem: true,
          pseudoTerminal: true,
          interactive: true,
          linuxParameters: { initProcessEnabled: true, capabilities: { add: ["SYS_PTRACE"], drop: ["NET_RAW", "MKNOD"] } },
          systemControls: [
            { namespace: "net.core.somaxconn", value: "2048" },
            { namespace: "kernel.shmmni", value: "777" },
          ],
          ulimits: [
            { name: "nofile", softLimit: 1500, hardLimit: 3000 },
            { name: "core", softLimit: 0, hardLimit: 0 },
          ],
          mountPoints: [{ sourceVolume: "scratch", containerPath: "/scratch" }],
          ...shell("touch /scratch/x && exec sleep 74001"),
        },
        { name: "plain", ...shell("exec sleep 74002") },
      ],
      { pidMode: "task", volumes: [{ name: "scratch" }] },
    );
    const taskArn = await stack.start(definition);
    await stack.reach(taskArn, "RUNNING");
    const fenced = await until("it runs", () => sleeping("74001"));
    const plain = await sleeping("74002");

    expect(await field(fenced, "Uid")).toBe("1000\t1000\t1000\t1000");
    expect(await field(fenced, "Gid")).toBe("29\t29\t29\t29");
    expect(BigInt(`0x${await field(fenced, "CapBnd")}`)).toBe((DEFAULT_CAPABILITIES & ~NET_RAW & ~MKNOD) | SYS_PTRACE);
    expect(BigInt(`0x${await field(fenced, "CapEff")}`)).toBe(0n);
    expect(BigInt(`0x${await field(plain, "CapEff")}`)).toBe(DEFAULT_CAPABILITIES);
    expect(BigInt(`0x${await field(plain, "CapAmb")}`)).toBe(0n);
    for (const each of [fenced, plain]) {
      expect([await field(each, "Seccomp"), await field(each, "NoNewPrivs")]).toEqual(["2", "0"]);
    }

    const limits = await readFile(`/proc/${fenced.pid}/limits`, "utf8");
    expect(limits).toMatch(/^Max open files +1500 +3000 /m);
    expect(limits).toMatch(/^Max core file size +0 +0 /m);
    const mounts = (await readFile(`/proc/${fenced.pid}/mounts`, "utf8")).split("\n").map((line) => line.split(" "));
    expect(mounts.find(([, path]) => path === "/")?.[3]).toMatch(/^ro,/);
    expect(mounts.find(([, path]) => path === "/scratch")?.[3]).toMatch(/^rw,/);

    // Nothing of it may be swapped, and what this host cannot give is said.
    const [group, parent] = [join("/sys/fs/cgroup", isCgroup2 ? "" : "memory", fenced.cgroup), taskGroup(fenced, "memory")];
    const swap = isCgroup2 ? join(parent, "memory.swap.max") : join(group, "memory.swappiness");
    expect(await readFile(swap, "utf8").catch(() => "0\n")).toBe("0\n");
    const { stdout: steps } = await instance.cli(["ps", taskIdOf(taskArn)]);
    expect(steps).not.toContain("fenced: ulimit");
    const hard = Number(/^Max open files +\d+ +(\d+)/m.exec(await readFile(`/proc/${plain.pid}/limits`, "utf8"))?.[1]);
    if (hard < 65_535) expect(steps).toContain(`plain: ulimit nofile is ${hard}, this host's hard limit, not 65535`);

    // A terminal of the container's own, an init between it and the pause process, and one PID namespace for the task.
    expect(await readlink(`/proc/${fenced.pid}/fd/0`)).toMatch(/^\/dev\/(pts\/\d+|console)$/);
    expect(await readFile(`/proc/${await field(fenced, "PPid")}/cmdline`, "utf8")).toContain("/dev/init");
    expect(await readlink(`/proc/${fenced.pid}/ns/pid`)).toBe(await readlink(`/proc/${plain.pid}/ns/pid`));

    const sysctls = ["nsenter", "--target", String(plain.pid), "--net", "--ipc", "cat", "/proc/sys/net/core/somaxconn", "/proc/sys/kernel/shmmni"];
    expect((await run(sysctls)).stdout).toBe("2048\n777\n");
    await stop(taskArn);
  });
});

test("a system control that the kernel does not have keeps the task from starting, and the reason names it", async () => {
  const systemControls = [
    { namespace: "net.core.somaxconn", value: "2048" },
    { namespace: "net.core.no_such_thing", value: "1" },
  ];
  const task = await stack.reach(await stack.start(await stack.define("sysctl", [{ name: "app", systemControls, ...shell("true") }])), "STOPPED");
  expect(task.stopCode).toBe("TaskFailedToStart");
  expect(task.stoppedReason).toMatch(/^ResourceInitializationError: system control net\.core\.no_such_thing cannot be 1 on this host: /);
});

/** Shells around it have the number in their command lines too. */
async function sleeping(number: string): Promise<ContainerProcess> {
  const [found, ...more] = (await containerProcesses(instance.instanceId, `sleep ${number}`)).filter(({ command }) => command === `sleep ${number}`);
  if (found === undefined || more.length > 0) throw new Error(`not one process sleeps ${number}`);
  return found;
}

describe("a task that takes what it can", () => {
  let neighbour: Task;
  let client: ContainerProcess;
  let pulse: PulseRun;

  beforeAll(async () => {
    const server = await stack.define("neighbour", [{ name: "web", command: ["httpd", "-f", "-p", "8080", "-h", "/etc"] }]);
    const caller = await stack.define("client", [{ name: "app", ...shell("exec sleep 74003") }]);
    const [serverArn, callerArn] = await Promise.all([stack.start(server), stack.start(caller)]);
    [neighbour] = await Promise.all([stack.reach(serverArn, "RUNNING"), stack.reach(callerArn, "RUNNING")]);
    client = await until("the client's task runs", () => theProcess(instance.instanceId, "sleep 74003"));
    const url = `http://${addressOf(neighbour)}:8080/passwd`;
    await until("the neighbour answers", () => run(["nsenter", "--target", String(client.pid), "--net", "curl", "--silent", "--fail", url]));
    pulse = startPulse(url, { perSecond: 20, inNamespaceOf: client.pid });
    await calm();
  });
  afterAll(() => pulse?.[Symbol.asyncDispose]());

  /** Two seconds of nothing but the neighbour's requests, to compare with. */
  async function calm(): Promise<void> {
    await pulse.part("");
    await run(["sleep", "2"]);
    await judge("nobody attacks");
  }

  /** The neighbour's requests since the last part: none failed. How long they took depends on the machine, and is printed. */
  async function judge(attack: string): Promise<void> {
    const { beats, failures, p50Ms, p99Ms, slowestMs } = await pulse.part(attack);
    console.log(`${attack}: ${beats} requests of the neighbour, p50 ${p50Ms} ms, p99 ${p99Ms} ms, slowest ${slowestMs} ms`);
    expect([attack, failures]).toEqual([attack, []]);
    expect(beats).toBeGreaterThan(10);
    expect((await stack.task(neighbour.taskArn ?? "")).lastStatus).toBe("RUNNING");
  }

  async function attack(name: string, script: string, size: { readonly cpu?: string; readonly memory?: string } = {}): Promise<string> {
    const taskArn = await stack.start(await stack.define(name, [{ name: "app", ...shell(script) }], size));
    await stack.reach(taskArn, "RUNNING");
    return taskArn;
  }

  test("forks without end: it gets no more processes than its limit", async () => {
    // The shell that cannot fork ends; the one around it needs no fork any more.
    const taskArn = await attack("forks", "(while :; do sleep 74004 & done); exec sleep 74005", { cpu: "1024", memory: "2048" });
    // Where a task's share of the host's processes is large, its memory may be gone first.
    const found = await until("it has what it gets", async () => {
      const task = await stack.task(taskArn);
      return task.lastStatus === "STOPPED" ? task : taskGroup(await sleeping("74005"), "pids");
    });
    if (typeof found !== "string") expect(found.containers?.[0]?.reason).toMatch(/^OutOfMemoryError: /);
    else {
      const read = async (file: string): Promise<number> => Number((await readFile(join(found, file), "utf8")).trim());
      const limit = await read("pids.max");
      expect(limit).toBeGreaterThan(1000);
      expect(await read("pids.current")).toBeGreaterThan(limit * 0.9);
      await until("its log says why", async () =>
        (await stack.lines(taskArn, "app")).some((line) => line.includes("Resource temporarily unavailable")),
      );
      const words = `reached its limit of ${limit} processes and threads`;
      await until("its steps say so", async () => (await instance.cli(["ps", taskIdOf(taskArn)])).stdout.includes(words));
    }
    await judge("a task forks without end");
    await stop(taskArn);
  });

  test("eats memory: it dies of it, and says so", async () => {
    const taskArn = await stack.start(
      await stack.define("memory", [{ name: "app", ...shell("sleep 2; exec dd if=/dev/zero of=/dev/null bs=900M") }]),
    );
    const stopped = await stack.reach(taskArn, "STOPPED");
    expect(stopped.containers?.[0]).toMatchObject({ exitCode: 137, reason: expect.stringMatching(/^OutOfMemoryError: /) });
    await judge("a task eats memory");
  });

  test("eats CPU: it gets its quota", async () => {
    const taskArn = await attack("cpu", "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; exec sleep 74006");
    const group = taskGroup(await until("it runs", () => sleeping("74006")), "cpuacct");
    const used = async (): Promise<number> => cpuSeconds(group);
    const [before, beganMs] = [await used(), performance.now()];
    await run(["sleep", "3"]);
    const cores = ((await used()) - before) / ((performance.now() - beganMs) / 1000);
    console.log(`eight busy loops of a task of 0.25 vCPU have ${cores.toFixed(2)} cores`);
    expect(cores).toBeLessThan(0.4);
    await judge("a task eats CPU");
    await stop(taskArn);
  });

  test("writes and syncs without pause: its neighbour goes on", async () => {
    const taskArn = await attack("disk", "while :; do dd if=/dev/zero of=/much bs=1M count=200 conv=fsync 2>/dev/null; done");
    await run(["sleep", "4"]);
    await judge("a task writes without pause");
    await stop(taskArn);
  });

  test("opens connections without end: the table of its VPC keeps room for the others", async () => {
    const taskArn = await attack("connections", "exec sleep 74007");
    const attacker = await until("it runs", () => sleeping("74007"));
    const script = join(import.meta.dirname, "../support/flood.ts");
    await run(["nsenter", "--target", String(attacker.pid), "--net", process.execPath, script, addressOf(neighbour), "60000"], { timeoutMs: 60_000 });
    const [vpc = ""] = await vpcNamespaces(instance.instanceId);
    const count = Number((await run(["ip", "netns", "exec", vpc, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"])).stdout);
    console.log(`60,000 connections were tried, ${count} are tracked in the VPC`);
    expect(count).toBeGreaterThan(8000);
    // With those of the neighbour's clients, which count for a while after their end.
    expect(count).toBeLessThan(15_000);
    await judge("a task opens connections without end");
    await stop(taskArn);
  });
});

test("the metadata endpoint tells a task what it has on disk: layer and volumes, in MiB", async () => {
  const said = await until("it is measured", async () => (await stack.lines(writer, "app")).findLast((line) => /Utilized":[1-9]/.test(line)));
  expect(said).toMatch(/^EphemeralStorageMetrics":\{"Utilized":5[01],"Reserved":21520$/);
  await stop(writer);
});

/** CPU time that a group has used, on either version of cgroups. */
async function cpuSeconds(group: string): Promise<number> {
  const v1 = await readFile(join(group, "cpuacct.usage"), "utf8").catch(() => undefined);
  if (v1 !== undefined) return Number(v1) / 1e9;
  return Number(/^usage_usec (\d+)/m.exec(await readFile(join(group, "cpu.stat"), "utf8"))?.[1]) / 1e6;
}
