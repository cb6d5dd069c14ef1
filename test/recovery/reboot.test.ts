import { CreateServiceCommand, DescribeServicesCommand, DescribeTasksCommand, ListTasksCommand, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { until } from "../support/instance.ts";
import { type MachineInstance, startInMachine } from "../support/machine-instance.ts";
import { MACHINE_ADDRESS, type Machine, startMachine } from "../support/machine.ts";
import { snapshotOf } from "../support/machine-snapshot.ts";
import { addressOf, createStack, type Stack } from "../support/stack.ts";
import { INTERNET_URL, answerOnTheInternet, getFromTask } from "../support/task-network.ts";
import { webLoadBalancer } from "../support/web-service.ts";
import { randomOf, rounds, seed } from "./matrix.ts";

/** A machine that is switched off and on. What is read: its kernel's own lists, the answers that clients get, the files that stay. */

let machine: Machine;
let internet: AsyncDisposable;
let instance: MachineInstance;
let stack: Stack;
let asFound: readonly string[];

beforeAll(async () => {
  machine = await startMachine();
  internet = answerOnTheInternet(machine);
  asFound = await snapshotOf(machine);
  instance = await startInMachine(machine);
  stack = await createStack(instance);
});

afterAll(async () => {
  await internet?.[Symbol.asyncDispose]();
  await machine?.dispose();
});

const sh = async (script: string): Promise<string> => (await machine.exec(["sh", "-ec", script])).stdout;
const hostsBlock = (): Promise<string> => sh("sed -n '/^# tidegate/,/^# tidegate/p' /etc/hosts");

async function runningTasks() {
  const { taskArns = [] } = await stack.ecs.send(new ListTasksCommand({}));
  const { tasks = [] } = taskArns.length === 0 ? {} : await stack.ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
  return tasks.filter((task) => task.lastStatus === "RUNNING");
}

/** A service of two tasks behind a load balancer; answers the balancer's name. */
async function serve(): Promise<string> {
  const group = await stack.group("web", [{ port: 80, fromCidr: "0.0.0.0/0" }]);
  const targets = await stack.group("web-targets", [{ port: 8080, fromGroup: group }]);
  const { dnsName, targetGroupArn } = await webLoadBalancer(stack, group);
  const command = ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"];
  await stack.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition: await stack.define("web", [{ name: "web", command, portMappings: [{ containerPort: 8080 }] }]),
      desiredCount: 2,
      launchType: "FARGATE",
      networkConfiguration: stack.network(targets),
      loadBalancers: [{ targetGroupArn, containerName: "web", containerPort: 8080 }],
    }),
  );
  return dnsName;
}

const stable = () =>
  waitUntilServicesStable({ client: stack.ecs, maxWaitTime: 90, minDelay: 1, maxDelay: 2 }, { cluster: "default", services: ["web"] });

/** The distinct answers of twenty requests to the load balancer, each to be answered. */
async function answersOf(dnsName: string): Promise<ReadonlySet<string>> {
  const urls = Array.from({ length: 20 }, () => `http://${dnsName}/`);
  const { stdout } = await machine.exec(["curl", "--silent", "--fail", "--max-time", "5", ...urls], { timeoutMs: 120_000 });
  return new Set(stdout.trim().split("\n"));
}

async function haproxy(command: string): Promise<string> {
  const socket = connect(machine.path(`${instance.runDir}/lb-${stack.vpcId}.sock`));
  socket.end(`${command}\n`);
  return text(socket);
}

/** The kernel has what the running tasks need, and nothing of tasks that were. */
async function holdsOnlyWhatRuns(): Promise<void> {
  const running = (await runningTasks()).map(addressOf).toSorted();
  const [netns = "", ...more] = (await sh("ls /run/netns")).split("\n").filter(Boolean);
  expect(more).toEqual([]);
  const inVpc = (script: string): Promise<string> => sh(`ip netns exec ${netns} ${script}`);
  const routed = (await inVpc("ip -4 route show")).split("\n").flatMap((line) => /^(\S+) dev eni/.exec(line)?.[1] ?? []);
  expect(routed.toSorted()).toEqual(running);
  expect((await inVpc("ip -brief link show type veth")).split("\n").filter((line) => line.startsWith("eni"))).toHaveLength(running.length);
  const admitted = [...(await inVpc("nft list set inet tidegate enis")).matchAll(/\d+\.\d+\.\d+\.\d+/g)].map(([address]) => address);
  expect(admitted.filter((address) => !routed.includes(address)).every((address) => balancerAddresses.has(address))).toBe(true);
  // Each cgroup and each mount is of a sandbox that lives: of a task, or warm.
  const empty = await sh(`
    for folder in $(find /sys/fs/cgroup -path '*/tidegate-${instance.instanceId}*' -type d); do
      [ -n "$(find "$folder" -name cgroup.procs -exec cat {} +)" ] || echo "$folder"
    done`);
  expect(empty).toBe("");
  const mounted = new Set([...(await sh("cat /proc/self/mounts")).matchAll(/k8s\.io\/([0-9a-f]{64})\/rootfs/g)].map(([, id]) => id));
  const known = await sh(`ctr --address ${instance.runDir}/containerd.sock --namespace k8s.io tasks list | awk '$3 == "RUNNING" { print $1 }'`);
  expect(mounted).toEqual(new Set(known.split("\n").filter(Boolean)));
  const servers = (await haproxy("show servers state")).split("\n").flatMap((line) => line.split(" ")[4] ?? []);
  const web = (await runningTasks()).filter((task) => task.group === "service:web").map(addressOf);
  // One that is checked, and one for when none is healthy.
  expect(servers.filter((address) => /^\d+\./.test(address)).toSorted()).toEqual([...web, ...web].toSorted());
}

let balancerAddresses: ReadonlySet<string> = new Set();

describe("after a reboot", () => {
  test("services, load balancers, names and the way out are back, lost tasks say why, and nothing stale is left", { timeout: 240_000 }, async () => {
    const dnsName = await serve();
    const worker = await stack.define("worker", [
      { name: "worker", command: ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done"] },
    ]);
    const lost = await stack.start(worker);
    await stable();
    await stack.reach(lost, "RUNNING");
    await until("the worker has logged", async () => (await stack.lines(lost, "worker")).length > 20);
    const before = {
      answers: await answersOf(dnsName),
      tasks: await runningTasks(),
      hosts: await hostsBlock(),
      lines: await stack.lines(lost, "worker"),
    };
    balancerAddresses = new Set([...before.hosts.matchAll(/^\d+\.\d+\.\d+\.\d+/gm)].map(([address]) => address));
    expect(before.answers.size).toBe(2);

    await machine.reboot();
    // Only the disk knows of Tidegate now.
    expect(await sh("ls /run")).not.toContain("tidegate");
    expect(await sh("ip -4 route")).not.toContain("172.31");
    expect(await hostsBlock()).toBe(before.hosts);
    const second = ["--data-dir", "/var/lib/second"];
    const tidegate = `${process.cwd()}/tidegate`;
    const { stdout: up } = await machine.exec([tidegate, ...second, "up", "--detach", "--engine", "simulated"], { timeoutMs: 60_000 });
    // What the first has, though it does not run, is not given to another.
    expect(up).toContain("http://localhost:4567");
    expect(up).toContain("VPC 172.30.0.0/16");
    await machine.exec([tidegate, ...second, "down", "--all", "--purge"], { timeoutMs: 60_000 });

    await instance.up();
    await stable();
    expect(await hostsBlock()).toBe(before.hosts);
    const after = await until("both new tasks answer behind the same name", async () => {
      const answers = await answersOf(dnsName);
      return answers.size === 2 && answers;
    });
    expect([...after].filter((answer) => before.answers.has(answer))).toEqual([]);
    const { tasks = [] } = await stack.ecs.send(new DescribeTasksCommand({ tasks: before.tasks.map((task) => task.taskArn ?? "") }));
    expect(tasks).toHaveLength(3);
    for (const task of tasks) {
      expect(task).toMatchObject({ lastStatus: "STOPPED", desiredStatus: "STOPPED", stopCode: "TerminationNotice" });
      expect(task.stoppedReason).toContain("The host that ran the task was restarted");
    }
    const { services } = await stack.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
    expect(services?.[0]?.events?.map((event) => event.message).join("\n")).toContain("has reached a steady state");
    // Each line once and in order, none of those lost that were acknowledged.
    const lines = await stack.lines(lost, "worker");
    expect(lines).toEqual(lines.map((_, index) => `line ${index + 1}`));
    expect(lines.length).toBeGreaterThanOrEqual(before.lines.length);
    await holdsOnlyWhatRuns();
    expect(await sh("cat /proc/sys/net/ipv4/conf/eth0/forwarding")).toBe("1\n");
    await stack.reach(await stack.start(await stack.define("asks", [{ name: "asks", command: ["sleep", "71001"] }])), "RUNNING");
    expect(await getFromTask(machine, "sleep 71001", INTERNET_URL)).toBe(MACHINE_ADDRESS);
  });

  test("whenever it comes, Tidegate starts and comes to rest", { timeout: 600_000 }, async () => {
    const random = randomOf("reboot");
    for (let round = 0; round < rounds({ part: 1, whole: 12 }); round++) {
      const definition = await stack.define("storm", [{ name: "storm", command: ["sleep", "72000"] }]);
      const launched = Promise.all(Array.from({ length: 6 }, () => stack.start(definition).catch(() => undefined)));
      const waitMs = random.between(0, 900);
      await systemClock.sleep(waitMs);
      await machine.reboot();
      await launched;
      await instance.up();
      await stable();
      const because = `after ${waitMs} ms, seed ${seed}, round ${round}`;
      await until(`all is at rest ${because}`, async () => {
        const { taskArns = [] } = await stack.ecs.send(new ListTasksCommand({ family: "storm" }));
        const { tasks = [] } = taskArns.length === 0 ? {} : await stack.ecs.send(new DescribeTasksCommand({ tasks: taskArns }));
        return tasks.every((task) => task.lastStatus === "RUNNING" || task.lastStatus === "STOPPED");
      });
      await until(`only what runs is left ${because}`, () => holdsOnlyWhatRuns().then(() => true));
    }
  });

  test(
    "a kill and another reboot, `down --all --purge` leaves the machine as it was found, or as its own boot has set it",
    { timeout: 120_000 },
    async () => {
      await instance.kill();
      await machine.reboot();
      // As an administrator's sysctl.d would.
      await sh("echo 1 >/proc/sys/net/ipv4/conf/eth0/forwarding");
      await instance.up();
      await instance.remove();
      const forwarding = (value: number): string => `sysctl: net.ipv4.conf.eth0.forwarding = ${value}`;
      expect(await snapshotOf(machine)).toEqual(asFound.map((line) => (line === forwarding(0) ? forwarding(1) : line)));
    },
  );
});
