import { createServer, type Server } from "node:http";
import { AuthorizeSecurityGroupIngressCommand, RevokeSecurityGroupIngressCommand } from "@aws-sdk/client-ec2";
import { StopTaskCommand, type Task } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { containerProcesses, listeningPorts, netnsOf, nftList, taskLimits, theProcess, vpcNamespaces } from "../support/kernel.ts";
import type { ContainerProcess } from "../support/kernel.ts";
import { addressOf, createStack, type Stack } from "../support/stack.ts";

/** Tasks on real containers: each test names what it read of the kernel. */

const MIB = 2 ** 20;
/** What a developer has on the host: one open to tasks, one not. */
const database: { open?: Server; closed?: Server } = {};
let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  database.open = await listen("the developer's database");
  database.closed = await listen("not for tasks");
  instance = await startInstance(["--host-port", String(portOf(database.open))]);
  stack = await createStack(instance);
});

afterAll(async () => {
  database.open?.close();
  database.closed?.close();
  await removeWithoutTrace(instance);
});

function listen(text: string): Promise<Server> {
  const server = createServer((_request, response) => response.end(text));
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const shell = (script: string): { command: string[] } => ({ command: ["sh", "-c", script] });

function containerOf(task: Task, name: string) {
  return task.containers?.find((container) => container.name === name);
}

async function stop(taskArn: string, reason?: string): Promise<Task> {
  await stack.ecs.send(new StopTaskCommand({ task: taskArn, reason }));
  return stack.reach(taskArn, "STOPPED");
}

/** Asks from inside a task, as any program there would: in its network namespace. */
async function askFrom({ pid }: ContainerProcess, url: string): Promise<string | undefined> {
  const { code, stdout } = await run(["nsenter", "--target", String(pid), "--net", "curl", "--silent", "--max-time", "2", url], {
    okCodes: [0, 7, 28, 52, 56],
  });
  return code === 0 ? stdout : undefined;
}

describe("containers of one task", () => {
  test("share localhost: one network namespace, one listening socket seen by both", async () => {
    const definition = await stack.define("pair", [
      { name: "web", command: ["httpd", "-f", "-p", "127.0.0.1:8099", "-h", "/etc"] },
      { name: "peer", ...shell("until wget -qO- http://127.0.0.1:8099/passwd 2>/dev/null; do sleep 0.1; done; exec sleep 71001") },
    ]);
    const taskArn = await stack.start(definition);
    await stack.reach(taskArn, "RUNNING");
    const peer = await until("the peer has its answer", () => theProcess(instance.instanceId, "sleep 71001"));
    const web = await theProcess(instance.instanceId, "httpd -f -p 127.0.0.1:8099");
    expect(await netnsOf(peer)).toBe(await netnsOf(web));
    expect(await listeningPorts(peer)).toContain(8099);
    expect(await until("it is logged", async () => (await stack.lines(taskArn, "peer"))[0])).toBe("root:x:0:0:root:/root:/bin/sh");
    await stop(taskArn);
  });

  test("end with the essential one; the other gets SIGTERM; exit codes, stop code and reason say so", async () => {
    const definition = await stack.define("essential", [
      { name: "main", essential: true, ...shell("until wget -qO /dev/null http://127.0.0.1:8098/passwd; do sleep 0.1; done; exit 3") },
      { name: "side", essential: false, ...shell("trap 'exit 9' TERM; httpd -p 8098 -h /etc; while :; do sleep 0.1; done") },
    ]);
    const task = await stack.reach(await stack.start(definition), "STOPPED");
    expect(task).toMatchObject({ stopCode: "EssentialContainerExited", stoppedReason: "Essential container in task exited" });
    expect(containerOf(task, "main")).toMatchObject({ lastStatus: "STOPPED", exitCode: 3 });
    expect(containerOf(task, "side")).toMatchObject({ lastStatus: "STOPPED", exitCode: 9 });
    expect(await containerProcesses(instance.instanceId, "8098")).toEqual([]);
  });
});

describe("the end of a task", () => {
  test("StopTask sends SIGTERM, waits for the container's own end, and keeps its exit code and last words", async () => {
    const definition = await stack.define("graceful", [
      { name: "app", ...shell("trap 'echo closing; sleep 1; echo closed; exit 7' TERM; echo ready; while :; do sleep 0.1; done") },
    ]);
    const taskArn = await stack.start(definition);
    await stack.reach(taskArn, "RUNNING");
    await until("it is ready", async () => (await stack.lines(taskArn, "app")).includes("ready"));
    const task = await stop(taskArn, "enough");
    expect(task).toMatchObject({ stopCode: "UserInitiated", stoppedReason: "enough", desiredStatus: "STOPPED" });
    expect(containerOf(task, "app")?.exitCode).toBe(7);
    expect(await stack.lines(taskArn, "app")).toEqual(["ready", "closing", "closed"]);
  });

  test("a container deaf to SIGTERM is killed after its stopTimeout: its process is gone", async () => {
    const definition = await stack.define("deaf", [{ name: "app", stopTimeout: 2, ...shell("trap '' TERM; while :; do sleep 0.1; : 71002; done") }]);
    const taskArn = await stack.start(definition);
    await stack.reach(taskArn, "RUNNING");
    const { pid } = await until("it runs", () => theProcess(instance.instanceId, "71002"));
    const task = await stop(taskArn);
    expect(containerOf(task, "app")?.exitCode).toBe(137);
    expect((await containerProcesses(instance.instanceId)).map((process) => process.pid)).not.toContain(pid);
    const stoppingMs = Number(task.stoppedAt) - Number(task.stoppingAt);
    expect(stoppingMs).toBeGreaterThanOrEqual(2_000);
  });

  test("a pull that fails says which image and why", async () => {
    const definition = await stack.define("no-image", [{ name: "app", image: `localhost:${instance.port}/tiny:no-such-tag` }]);
    const task = await stack.reach(await stack.start(definition), "STOPPED");
    expect(task.stopCode).toBe("TaskFailedToStart");
    expect(task.stoppedReason).toMatch(/^CannotPullContainerError: /);
    expect(task.stoppedReason).toContain(`localhost:${instance.port}/tiny:no-such-tag`);
    expect(containerOf(task, "app")?.exitCode).toBeUndefined();
  });

  test("a log group that is not there keeps the task from starting, and the reason names it", async () => {
    const options = { "awslogs-group": "/no/such/group", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "test" };
    const definition = await stack.define("no-group", [
      { name: "app", ...shell("sleep 71003"), logConfiguration: { logDriver: "awslogs", options } },
    ]);
    const task = await stack.reach(await stack.start(definition), "STOPPED");
    expect(task.stopCode).toBe("TaskFailedToStart");
    expect(task.stoppedReason).toMatch(/ResourceInitializationError.*\/no\/such\/group/s);
    expect(await containerProcesses(instance.instanceId, "71003")).toEqual([]);
  });
});

describe("the size of a task", () => {
  test("holds for its containers together: cgroup files carry it, and only the one that eats dies", async () => {
    // Neither is too large by itself: 150 MB that stay in dd's buffer, and 420.
    const definition = await stack.define("eater", [
      { name: "calm", essential: true, ...shell("dd if=/dev/zero bs=150M count=1 | sleep 71004") },
      { name: "eater", essential: false, ...shell("exec dd if=/dev/zero of=/dev/null bs=420M") },
    ]);
    const taskArn = await stack.start(definition);
    await stack.reach(taskArn, "RUNNING");
    const calm = await until("the calm one runs", () => theProcess(instance.instanceId, "bs=150M"));
    expect(await taskLimits(calm)).toEqual({ memoryBytes: 512 * MIB, cpuCores: 0.25 });
    const task = await until("the eater is dead", async () => {
      const now = await stack.task(taskArn);
      return containerOf(now, "eater")?.lastStatus === "STOPPED" && now;
    });
    expect(containerOf(task, "eater")).toMatchObject({ exitCode: 137, reason: expect.stringMatching(/^OutOfMemoryError: /) });
    expect(containerOf(task, "calm")).toMatchObject({ lastStatus: "RUNNING" });
    expect(task.lastStatus).toBe("RUNNING");
    expect(await theProcess(instance.instanceId, "bs=150M")).toEqual(calm);
    await stop(taskArn);
  });
});

describe("security groups between two tasks", () => {
  test("a rule with a group as source is a rule in nftables; revoking it cuts new connections", async () => {
    const [callers, servers] = [await stack.group("callers"), await stack.group("servers")];
    const rule = { GroupId: servers, IpPermissions: [{ IpProtocol: "tcp", FromPort: 8080, ToPort: 8080, UserIdGroupPairs: [{ GroupId: callers }] }] };
    const definition = await stack.define("server", [{ name: "web", command: ["httpd", "-f", "-p", "8080", "-h", "/etc"] }]);
    const caller = await stack.define("caller", [{ name: "app", ...shell("exec sleep 71005") }]);
    const [serverArn, callerArn, strangerArn] = await Promise.all([
      stack.start(definition, [servers]),
      stack.start(caller, [callers]),
      stack.start(await stack.define("stranger", [{ name: "app", ...shell("exec sleep 71006") }])),
    ]);
    const [server] = await Promise.all([serverArn, callerArn, strangerArn].map((taskArn) => stack.reach(taskArn, "RUNNING")));
    const url = `http://${addressOf(server as Task)}:8080/passwd`;
    const [from, stranger] = await Promise.all([theProcess(instance.instanceId, "sleep 71005"), theProcess(instance.instanceId, "sleep 71006")]);
    const [vpc = ""] = await vpcNamespaces(instance.instanceId);
    expect(await askFrom(from, url)).toBeUndefined();

    await stack.ec2.send(new AuthorizeSecurityGroupIngressCommand(rule));
    await until("the caller is let in", () => askFrom(from, url));
    expect(await nftList(vpc, "chain", `in-${servers}`)).toContain(`@${callers}`);
    expect(await nftList(vpc, "set", callers)).toContain(addressOf(await stack.task(callerArn)));
    expect(await askFrom(stranger, url)).toBeUndefined();

    await stack.ec2.send(new RevokeSecurityGroupIngressCommand(rule));
    await until("new connections are cut", async () => (await askFrom(from, url)) === undefined);
    expect(await nftList(vpc, "chain", `in-${servers}`)).not.toContain(`@${callers}`);
    await Promise.all([serverArn, callerArn, strangerArn].map((taskArn) => stop(taskArn)));
  });
});

describe("what a task finds", () => {
  test("awslogs keeps the lines of a container in order, each once", async () => {
    const definition = await stack.define("lines", [{ name: "app", ...shell("for i in $(seq 1 3000); do echo line $i; done") }]);
    const task = await stack.reach(await stack.start(definition), "STOPPED");
    expect(containerOf(task, "app")?.exitCode).toBe(0);
    const wanted = Array.from({ length: 3000 }, (_, index) => `line ${index + 1}`);
    expect(await stack.lines(task.taskArn ?? "", "app")).toEqual(wanted);
  });

  test("the host's ports that were opened answer at host.tidegate.internal, no others", async () => {
    const [open, closed] = [portOf(database.open as Server), portOf(database.closed as Server)];
    const ask = (port: number): string => `wget -qO- http://host.tidegate.internal:${port}/ || echo refused; echo`;
    const definition = await stack.define("host-port", [{ name: "app", ...shell(`${ask(open)}; ${ask(closed)}`) }]);
    const task = await stack.reach(await stack.start(definition), "STOPPED");
    const said = (await stack.lines(task.taskArn ?? "", "app")).filter((line) => line !== "" && !line.startsWith("wget:"));
    expect(said).toEqual(["the developer's database", "refused"]);
    const sockets = await run(["ss", "--listening", "--tcp", "--numeric", "--no-header"]);
    expect(sockets.stdout).toContain(`127.0.0.1:${open}`);
  });

  test("the metadata endpoint tells each task of itself, as the API does", async () => {
    const definition = await stack.define("metadata", [
      { name: "app", ...shell("wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task; echo; exec sleep 71007") },
    ]);
    const taskArn = await stack.start(definition, [], { tags: [{ key: "team", value: "shop" }] });
    const task = await stack.reach(taskArn, "RUNNING");
    const text = await until("it has asked", async () => (await stack.lines(taskArn, "app"))[0]);
    expect(JSON.parse(text)).toMatchObject({
      TaskARN: taskArn,
      Family: "metadata",
      LaunchType: "FARGATE",
      Limits: { CPU: 0.25, Memory: 512 },
      Containers: [{ Name: "app", Networks: [{ NetworkMode: "awsvpc", IPv4Addresses: [addressOf(task)] }] }],
    });
    const inside = await theProcess(instance.instanceId, "sleep 71007");
    const { stdout } = await run(["nsenter", "--target", String(inside.pid), "--net", "ip", "-brief", "-4", "address", "show", "eth0"]);
    expect(stdout).toContain(`${addressOf(task)}/`);
    await stop(taskArn);
  });
});
