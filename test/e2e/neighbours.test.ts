import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RunResult } from "../../src/host/run.ts";
import { until } from "../support/instance.ts";
import { type MachineInstance, startInMachine } from "../support/machine-instance.ts";
import { type Background, MACHINE_ADDRESS, type Machine, startMachine } from "../support/machine.ts";
import { snapshotOf } from "../support/machine-snapshot.ts";
import { addressOf, createStack, type Stack } from "../support/stack.ts";
import { INTERNET_URL, answerOnTheInternet, getFromTask } from "../support/task-network.ts";
import { writeTinyImage } from "../support/tiny-image.ts";

/**
 * Tidegate as a guest among others: in a machine of its own for each neighbour, whose snapshot after `down --all --purge` is the one of
 * before. What a task gets from the internet shows the way out: the answer is the address that the request came from.
 */

let machine: Machine;
let open: (Background | AsyncDisposable)[];

beforeEach(async () => {
  machine = await startMachine();
  open = [answerOnTheInternet(machine)];
});

afterEach(async () => {
  for (const program of open) await program[Symbol.asyncDispose]();
  await machine.dispose();
});

const sh = async (script: string): Promise<string> => (await machine.exec(["sh", "-ec", script], { timeoutMs: 60_000 })).stdout;

function beside(command: readonly string[]): Background {
  const program = machine.background(command);
  open.push(program);
  return program;
}

function tidegate(args: readonly string[], okCodes: readonly number[] = [0]): Promise<RunResult> {
  return machine.exec([resolve("tidegate"), ...args], { okCodes, timeoutMs: 120_000 });
}

/** Runs a task that sleeps for so many seconds, by which it is found again. */
async function sleeper(stack: Stack, seconds: number, groups: readonly string[] = []): Promise<string> {
  const command = ["sleep", String(seconds)];
  const task = await stack.reach(await stack.start(await stack.define(`s${seconds}`, [{ name: "s", command }]), groups), "RUNNING");
  return addressOf(task);
}

const egress = (seconds: number): Promise<string> => getFromTask(machine, `sleep ${seconds}`, INTERNET_URL);

const egressComes = (seconds: number): Promise<true> =>
  until("the task's way out is open", async () => (await egress(seconds)) === MACHINE_ADDRESS, 15_000).then(() => true as const);

/** The relay by which the test reached the instance is the test's own. */
async function isAsFound(asFound: readonly string[], except: readonly string[] = []): Promise<void> {
  expect(await snapshotOf(machine, { except })).toEqual(asFound.filter((line) => !except.some((path) => line.includes(path))));
}

async function startDocker(): Promise<void> {
  const configuration = join(machine.shared, "docker.json");
  await writeFile(configuration, "{}");
  beside(["dockerd", "--config-file", configuration]);
  await until("dockerd answers", () => machine.exec(["docker", "version"]).then(() => true));
}

/** A container of Docker's, on its bridge, that sleeps. */
async function runInDocker(): Promise<void> {
  const layer = join(machine.shared, "layer");
  await sh(`mkdir -p ${layer}/bin && cp /bin/busybox ${layer}/bin/ && tar -C ${layer} -c . | docker import - tiny`);
  await sh("docker run --detach tiny /bin/busybox sleep 75900");
}

/** What it gets from the internet. */
const egressOfDocker = (): Promise<string> => getFromTask(machine, "/bin/busybox sleep 75900", INTERNET_URL);

describe("beside Docker", () => {
  test("that was there before: both have their way out, and Docker keeps its own after the purge", { timeout: 180_000 }, async () => {
    await startDocker();
    await runInDocker();
    expect(await egressOfDocker()).toBe(MACHINE_ADDRESS);
    expect(await sh("iptables -S FORWARD")).toContain("-P FORWARD DROP");
    const docker = ["/var/lib/docker", "/run/docker", "/sys/fs/cgroup/", "process: containerd"];
    const asFound = await snapshotOf(machine, { except: docker });
    const instance = await startInMachine(machine);
    await sleeper(await createStack(instance), 75_001);
    expect(await egress(75_001)).toBe(MACHINE_ADDRESS);
    expect(await egressOfDocker()).toBe(MACHINE_ADDRESS);
    await instance.remove();
    await isAsFound(asFound, docker);
    expect(await egressOfDocker()).toBe(MACHINE_ADDRESS);
  });

  test("that starts later, and drops what is forwarded: the tasks' way out opens again by itself", { timeout: 180_000 }, async () => {
    const instance = await startInMachine(machine);
    await sleeper(await createStack(instance), 75_002);
    expect(await egress(75_002)).toBe(MACHINE_ADDRESS);
    await startDocker();
    await runInDocker();
    expect(await egressComes(75_002)).toBe(true);
    await instance.remove();
    // Forwarding is Docker's now, and stays.
    expect(await egressOfDocker()).toBe(MACHINE_ADDRESS);
    expect(await sh("iptables-save; nft list ruleset")).not.toContain("tidegate");
  });
});

describe("beside a firewall", () => {
  test("ufw that drops what comes in and what is forwarded; also when it is loaded again", { timeout: 180_000 }, async () => {
    await sh("ufw --force default deny incoming && ufw --force default deny routed && ufw --force enable && ufw reload");
    expect(await sh("iptables -S")).toMatch(/-P INPUT DROP[^]*-P FORWARD DROP/);
    const asFound = await snapshotOf(machine);
    const instance = await startInMachine(machine);
    await sleeper(await createStack(instance), 75_003);
    expect(await egress(75_003)).toBe(MACHINE_ADDRESS);
    // Its own API, by the host's end of the link, which ufw's INPUT would drop.
    expect(await getFromTask(machine, "sleep 75003", "http://169.254.171.2:4566/healthz")).toContain('"status":"ok"');
    await sh("ufw reload");
    expect(await egressComes(75_003)).toBe(true);
    await instance.remove();
    await isAsFound(asFound);
  });

  test("nftables that are flushed, another default route: the way out comes back, and follows", { timeout: 120_000 }, async () => {
    const instance = await startInMachine(machine);
    await sleeper(await createStack(instance), 75_004);
    await sh("nft flush ruleset");
    expect(await egressComes(75_004)).toBe(true);
    expect(await sh("nft list ruleset")).toContain(`tidegate_${instance.instanceId}`);
    await sh("ip link add name wlan0 type veth peer name radio; ip link set wlan0 up; ip link set radio up");
    await sh("ip address add 192.0.2.10/24 dev wlan0 && ip route replace default via 192.0.2.1 dev wlan0");
    await until("the new link forwards", async () => (await sh("cat /proc/sys/net/ipv4/conf/wlan0/forwarding")).trim() === "1");
    await instance.remove();
    expect(await sh("cat /proc/sys/net/ipv4/conf/*/forwarding | sort -u")).toBe("0\n");
  });
});

describe("beside another containerd, with what Tidegate would like to have taken", () => {
  test("172.31.0.0/16, ports 4566 and 80: it takes others, and says who has what", { timeout: 180_000 }, async () => {
    await sh("ip link add name vpn0 type veth peer name vpn1 && ip link set vpn1 up && ip address add 172.31.7.1/16 dev vpn0 && ip link set vpn0 up");
    beside([
      "node",
      "-e",
      "for (const port of [4566, 80]) require('node:http').createServer((_, answer) => answer.end('mine')).listen(port, '0.0.0.0')",
    ]);
    beside(["containerd"]);
    const ctr = "ctr --address /run/containerd/containerd.sock";
    await until("containerd answers", () => sh(`${ctr} version`).then(() => true));
    const image = join(machine.shared, "tiny.tar");
    const { reference } = await writeTinyImage(image);
    await sh(`${ctr} images import ${image} && ${ctr} run --detach ${reference} theirs sleep 76000`);
    await until("somebody has the ports", () => sh("curl -fsS http://127.0.0.1:80/ http://127.0.0.1:4566/").then(() => true));
    const containerd = ["/var/lib/containerd", "/run/containerd/io.containerd"];
    const asFound = await snapshotOf(machine, { except: containerd });

    const port = await tidegate(["up", "--detach", "--port", "4566"], [0, 1]);
    expect(port.code).toBe(1);
    expect(port.stderr).toMatch(/port 4566 on 127\.0\.0\.1 is taken by node \(pid \d+\)/);
    await tidegate(["down", "--all", "--purge"]);
    const block = await tidegate(["up", "--detach", "--vpc-cidr", "172.31.0.0/16"], [0, 1]);
    expect(block.code).toBe(1);
    expect(block.stderr).toContain(
      "the block 172.31.0.0/16 overlaps 172.31.0.0/16, a route by vpn0; 172.30.0.0/16 is free (--vpc-cidr 172.30.0.0/16)",
    );
    const instance = await startInMachine(machine, { flags: ["--vpc-cidr", "172.30.0.0/16"] });
    expect(instance.port).toBe(4567);

    const stack = await createStack(instance);
    const group = await stack.group("open", [
      { port: 80, fromCidr: "0.0.0.0/0" },
      { port: 8080, fromCidr: "0.0.0.0/0" },
    ]);
    const address = await sleeper(stack, 75_006, [group]);
    expect(address).toMatch(/^172\.30\./);
    expect(await egress(75_006)).toBe(MACHINE_ADDRESS);
    // The load balancer has port 80 all the same: at an address of its own.
    const { LoadBalancers } = await stack.elb.send(
      new CreateLoadBalancerCommand({ Name: "web", Subnets: [...stack.subnets], SecurityGroups: [group] }),
    );
    const target = { Protocol: "HTTP" as const, Port: 8080, VpcId: stack.vpcId, TargetType: "ip" as const };
    const { TargetGroups } = await stack.elb.send(new CreateTargetGroupCommand({ Name: "web", ...target }));
    const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn;
    await stack.elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: address }] }));
    const { LoadBalancerArn, DNSName } = LoadBalancers?.[0] ?? {};
    const forward = { Type: "forward" as const, TargetGroupArn };
    await stack.elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port: 80, DefaultActions: [forward] }));
    // Nobody listens at the target, which is tried four times, a second apart.
    await until("the load balancer answers", async () =>
      /HAProxy|50[23]/i.test(await sh(`curl -sS --max-time 10 -w '%{http_code}' http://${DNSName}/ || true`)),
    );
    expect(await sh("curl -fsS http://127.0.0.1:80/ http://127.0.0.1:4566/")).toBe("minemine");
    expect(await sh(`${ctr} tasks list`)).toMatch(/theirs\s+\d+\s+RUNNING/);

    await instance.remove();
    expect(await sh(`${ctr} tasks list`)).toMatch(/theirs\s+\d+\s+RUNNING/);
    await isAsFound(asFound, containerd);
  });

  test("a block that somebody takes while the machine is down: it does not start, and says who has it", { timeout: 120_000 }, async () => {
    const instance = await startInMachine(machine);
    await machine.reboot();
    await sh("ip link add name vpn0 type veth peer name vpn1 && ip link set vpn1 up && ip address add 172.31.7.1/16 dev vpn0 && ip link set vpn0 up");
    const { code, stderr } = await tidegate(["up", "--detach"], [0, 1]);
    expect(code).toBe(1);
    expect(stderr).toContain("the block 172.31.0.0/16 of vpc-");
    expect(stderr).toContain("a route by vpn0, which has taken it since");
    expect(await sh("ip route show 172.31.0.0/16")).toContain("dev vpn0");
    await sh("ip link del vpn0");
    await instance.up();
    expect((await tidegate(["status"])).stdout).toContain("ok ");
  });
});

describe("beside another Tidegate", () => {
  test("neither sees the other's tasks, and the end of one is nothing to the other", { timeout: 240_000 }, async () => {
    const asFound = await snapshotOf(machine);
    const one = await startInMachine(machine);
    const other = await startInMachine(machine, { dataDir: "/var/lib/other" });
    expect([one.port, other.port, one.vpcCidr, other.vpcCidr]).toEqual([4566, 4567, "172.31.0.0/16", "172.30.0.0/16"]);
    const serve = async (instance: MachineInstance, seconds: number): Promise<string> => {
      const stack = await createStack(instance);
      const group = await stack.group("open", [{ port: 8080, fromCidr: "0.0.0.0/0" }]);
      const command = ["sh", "-c", `httpd -p 8080 -h / ; exec sleep ${seconds}`];
      return addressOf(await stack.reach(await stack.start(await stack.define("web", [{ name: "web", command }]), [group]), "RUNNING"));
    };
    const [first, second] = [await serve(one, 75_007), await serve(other, 75_008)];
    for (const address of [first, second])
      await until(`${address} answers the host`, () => sh(`curl -fsS http://${address}:8080/etc/passwd`).then(() => true));
    expect(await egress(75_007)).toBe(MACHINE_ADDRESS);
    expect(await egress(75_008)).toBe(MACHINE_ADDRESS);
    expect(await getFromTask(machine, "sleep 75007", `http://${second}:8080/`)).not.toContain("root");
    expect(await getFromTask(machine, "sleep 75008", `http://${first}:8080/`)).not.toContain("root");
    await one.remove();
    expect(await egress(75_008)).toBe(MACHINE_ADDRESS);
    expect((await other.cli(["status"])).stdout).toContain("ok ");
    await other.kill();
    await other.remove();
    await isAsFound(asFound);
  });
});
