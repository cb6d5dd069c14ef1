/** Ports of the host that lead into a VPC, as a client of each side sees them. The host is a namespace, and so is the world outside. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PublishedPort } from "../../src/contracts/network.ts";
import { randomIds } from "../../src/core/ids.ts";
import type { GroupRule } from "../../src/network/records.ts";
import { run } from "../../src/host/run.ts";
import { until } from "../support/instance.ts";
import { World } from "./world.ts";

const HOST = "203.0.113.1";
const OUTSIDE = "203.0.113.2";

const world = new World();
let balancer: string;
let target: string;
let vpcId: string;
let hostEnd: string;

function rule(parts: Pick<GroupRule, "egress" | "protocol"> & Partial<GroupRule>): GroupRule {
  return { ruleId: `sgr-0${randomIds.hex(16)}`, fromPort: -1, toPort: -1, tags: {}, ...parts };
}

async function admit(cidrIpv4: string): Promise<void> {
  await world.network.admin.updateSecurityGroup(world.scope, balancer, (group) => ({
    ...group,
    rules: [
      rule({ egress: true, protocol: "-1", cidrIpv4: "0.0.0.0/0" }),
      rule({ egress: false, protocol: "tcp", fromPort: 80, toPort: 90, cidrIpv4 }),
    ],
  }));
}

function port(number: number, address = "0.0.0.0"): PublishedPort {
  return { address, port: number, vpcId, target };
}

async function forwarding(): Promise<string> {
  return (await world.text(world.host, "cat", "/proc/sys/net/ipv4/conf/eth0/forwarding", "/proc/sys/net/ipv4/ip_forward")).trim();
}

beforeAll(async () => {
  await world.makeHost();
  // As Docker and ufw leave it.
  await world.text(world.host, "iptables-nft", "-P", "FORWARD", "DROP");
  await world.newNetwork();
  await world.network.start();
  balancer = await world.group("balancer");
  await admit("0.0.0.0/0");
  const request = world.request("balancer", [balancer]);
  target = (await world.network.attachLocal(request)).privateIpv4;
  const [endpoint] = await world.network.endpoints();
  vpcId = endpoint?.vpcId ?? "";
  hostEnd = endpoint?.hostAddress ?? "";
  await world.serve(await world.vpcNetns(), [80, 81, 82, 90], target);
  // The outside knows the way to the VPC: what keeps it out is the host.
  await world.ip(world.internet, [`route add ${world.vpcCidr} via ${HOST}`]);
});

afterAll(() => world[Symbol.asyncDispose]());

test("nothing leads in before a port is published", async () => {
  expect(await world.reach(world.internet, HOST, 80)).toEqual({ tcp: undefined, udp: undefined });
  expect(await world.reach(world.internet, target, 80)).toEqual({ tcp: undefined, udp: undefined });
});

test("a published port leads to the load balancer from everywhere, which sees who the client is; nothing else leads in", async () => {
  const caller = await world.task("caller", []);
  expect(await world.network.publish([port(80)])).toEqual([{ open: true }]);
  expect((await world.reach(world.internet, HOST, 80)).tcp).toBe(OUTSIDE);
  expect((await world.reach(world.host, HOST, 80)).tcp).toBe(HOST);
  expect((await world.reach(world.host, "127.0.0.1", 80)).tcp).toBe(hostEnd);
  // A task that asks by the host's own address.
  expect((await world.reach(caller.ns, HOST, 80)).tcp).toBe(hostEnd);

  expect(await world.reach(world.internet, HOST, 81)).toEqual({ tcp: undefined, udp: undefined });
  expect(await world.reach(world.internet, target, 80)).toEqual({ tcp: undefined, udp: undefined });
  expect(await world.reach(world.internet, target, 81)).toEqual({ tcp: undefined, udp: undefined });
  expect((await world.reach(world.internet, HOST, 80)).udp).toBeUndefined();
});

test("the load balancer's security groups decide over the clients outside", async () => {
  await admit("198.51.100.0/24");
  expect((await world.reach(world.internet, HOST, 80)).tcp).toBeUndefined();
  await admit(`${OUTSIDE}/32`);
  expect((await world.reach(world.internet, HOST, 80)).tcp).toBe(OUTSIDE);
  await admit("0.0.0.0/0");
});

test("a port that another program holds is not taken from it, and opens when it is free", async () => {
  const server = await world.serve(world.host, [90]);
  const [kept, taken] = await world.network.publish([port(80), port(90)]);
  expect(kept).toEqual({ open: true });
  expect(taken).toEqual({ open: false, problem: expect.stringMatching(/^node \(pid \d+\) listens at 0\.0\.0\.0:90: stop it/) as string });
  expect(taken?.problem).toContain(`(pid ${server.pid})`);
  expect((await world.reach(world.internet, HOST, 90)).tcp).toBe(OUTSIDE);
  server.kill("SIGKILL");
  await until("the port is free", async () => (await world.network.publish([port(80), port(90)]))[1]?.open === true);
  expect((await world.reach(world.internet, HOST, 90)).tcp).toBe(OUTSIDE);
});

test("one address of the host alone; one that it does not have waits", async () => {
  const outcomes = await world.network.publish([port(80, HOST), port(81, "198.51.100.9")]);
  expect(outcomes).toEqual([{ open: true }, { open: false, problem: "198.51.100.9 is no address of this host now" }]);
  expect((await world.reach(world.internet, HOST, 80)).tcp).toBe(OUTSIDE);
  expect((await world.reach(world.host, "127.0.0.1", 80)).tcp).toBeUndefined();
  expect((await world.reach(world.internet, HOST, 90)).tcp).toBeUndefined();
});

test("another instance on the host is told whose port it is", async () => {
  await using neighbour = new World({}, world);
  await neighbour.newNetwork();
  await neighbour.network.start();
  const vpc = await neighbour.network.admin.ensureDefaultVpc(neighbour.scope);
  const wanted = { address: "0.0.0.0", port: 80, vpcId: vpc.vpcId, target: "10.0.0.1" };
  expect(await neighbour.network.publish([wanted])).toEqual([
    { open: false, problem: `Tidegate instance ${world.instanceId} publishes ${HOST}:80 on this host` },
  ]);
  await neighbour.network.removeEverything();
});

test("no connection is refused while a process is killed, the next one takes over, and the table is made anew", async () => {
  await world.network.publish([port(80)]);
  const script = `
    const net = require("node:net"); let ok = 0; const failed = []; let on = true;
    const one = () => new Promise((done) => {
      const c = net.connect({ host: "${HOST}", port: 80 });
      c.setTimeout(20_000, () => { failed.push("timeout"); c.destroy(); done(); });
      c.once("data", () => { ok++; c.destroy(); done(); });
      c.once("error", (e) => { failed.push(e.message); done(); });
    });
    process.on("SIGTERM", () => (on = false));
    (async () => { console.log("begins"); while (on) await one(); console.log(JSON.stringify({ ok, failed })); })();`;
  const client = world.spawnIn(world.internet, [process.execPath, "-e", script]);
  const lines: string[] = [];
  client.stdout?.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trim().split("\n")));
  await until("the client asks", async () => lines.includes("begins"));
  for (let round = 0; round < 3; round++) {
    await world.newNetwork();
    await world.network.start();
    // Before anybody has said what is to be published.
    expect((await world.reach(world.host, HOST, 80)).tcp).toBe(HOST);
    expect(await world.network.publish([port(80)])).toEqual([{ open: true }]);
  }
  client.kill("SIGTERM");
  const report = await until("the client has ended", async () => lines.find((line) => line.startsWith("{")));
  const { ok, failed } = JSON.parse(report) as { ok: number; failed: readonly string[] };
  expect(failed).toEqual([]);
  expect(ok).toBeGreaterThan(20);
});

test("what is not published any more is closed, and the host is left as found", async () => {
  expect(await forwarding()).toBe("1\n0");
  expect(await world.network.publish([])).toEqual([]);
  expect((await world.reach(world.internet, HOST, 80)).tcp).toBeUndefined();
  expect((await world.reach(world.host, "127.0.0.1", 80)).tcp).toBeUndefined();
  await world.network.publish([port(80)]);
  await world.network.removeEverything();
  expect(await forwarding()).toBe("0\n0");
  expect(await world.text(world.host, "nft", "list", "tables", "inet")).toBe("");
  expect((await world.text(world.host, "iptables-nft", "-S")).trim().split("\n")).toEqual(["-P INPUT ACCEPT", "-P FORWARD DROP", "-P OUTPUT ACCEPT"]);
  const { stdout } = await run(["ip", "netns", "exec", world.host, "ip", "-br", "link"]);
  expect(stdout).not.toContain(`tg${world.instanceId}`);
});
