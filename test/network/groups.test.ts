/** Security groups in the kernel, between real namespaces: who reaches whom. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GroupRule } from "../../src/network/records.ts";
import { randomIds } from "../../src/core/ids.ts";
import { World } from "./world.ts";

type RuleParts = Pick<GroupRule, "egress" | "protocol"> & Partial<GroupRule>;

function rule(parts: RuleParts): GroupRule {
  return { ruleId: `sgr-0${randomIds.hex(16)}`, fromPort: -1, toPort: -1, tags: {}, ...parts };
}

const world = new World({ hostPorts: [5432] });
let client: string;
let web: string;
let quiet: string;
let balancer: string;
let caller: Awaited<ReturnType<World["task"]>>;
let stranger: Awaited<ReturnType<World["task"]>>;
let server: Awaited<ReturnType<World["task"]>>;
let farServer: Awaited<ReturnType<World["task"]>>;
let silent: Awaited<ReturnType<World["task"]>>;
let balancerIp: string;

async function setRules(groupId: string, rules: readonly GroupRule[]): Promise<void> {
  await world.network.admin.updateSecurityGroup(world.scope, groupId, (group) => ({ ...group, rules }));
}

const OUT = rule({ egress: true, protocol: "-1", cidrIpv4: "0.0.0.0/0" });

beforeAll(async () => {
  await world.start();
  client = await world.group("client");
  web = await world.group("web");
  quiet = await world.group("quiet");
  balancer = await world.group("balancer");
  await setRules(web, [
    OUT,
    rule({ egress: false, protocol: "tcp", fromPort: 8000, toPort: 8001, referencedGroupId: client }),
    rule({ egress: false, protocol: "udp", fromPort: 8001, toPort: 8002, referencedGroupId: client }),
    rule({ egress: false, protocol: "-1", referencedGroupId: balancer }),
  ]);
  await setRules(balancer, [OUT, rule({ egress: false, protocol: "tcp", fromPort: 80, toPort: 80, cidrIpv4: "0.0.0.0/0" })]);
  await setRules(quiet, [
    rule({ egress: false, protocol: "-1", cidrIpv4: "0.0.0.0/0" }),
    rule({ egress: true, protocol: "tcp", fromPort: 8000, toPort: 8000, referencedGroupId: web }),
  ]);
  caller = await world.task("caller", [client]);
  stranger = await world.task("stranger", []);
  server = await world.task("server", [web]);
  farServer = await world.task("far", [web], "b");
  silent = await world.task("silent", [quiet, client], "c");
  const { privateIpv4 } = await world.network.attachLocal(world.request("balancer", [balancer], "b"));
  balancerIp = privateIpv4;
  const vpc = await world.vpcNetns();
  await Promise.all([
    world.serve(server.ns, [8000, 8001, 8002, 9000]),
    world.serve(farServer.ns, [8000, 8001, 8002, 9000]),
    world.serve(caller.ns, [8000]),
    world.serve(vpc, [80, 81], balancerIp),
    world.serve(world.internet, [80]),
  ]);
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

describe("between tasks", () => {
  test.each(["same subnet", "other subnet"])("%s: what the group's rules name gets through, by protocol and port", async (where) => {
    const to = where === "same subnet" ? server : farServer;
    const at = (port: number) => world.reach(caller.ns, to.ip, port);
    const [p8000, p8001, p8002, p9000] = await Promise.all([at(8000), at(8001), at(8002), at(9000)]);
    expect(p8000).toEqual({ tcp: caller.ip, udp: undefined });
    expect(p8001).toEqual({ tcp: caller.ip, udp: caller.ip });
    expect(p8002).toEqual({ tcp: undefined, udp: caller.ip });
    expect(p9000).toEqual({ tcp: undefined, udp: undefined });
  });

  test("one that is in no named group gets nothing, and the way back is not open either", async () => {
    const [there, back] = await Promise.all([world.reach(stranger.ns, server.ip, 8001), world.reach(server.ns, caller.ip, 8000)]);
    expect(there).toEqual({ tcp: undefined, udp: undefined });
    expect(back).toEqual({ tcp: undefined, udp: undefined });
  });

  test("egress rules hold: all groups of the source add up, and nothing more leaves", async () => {
    // `quiet` lets it out to the web group's port 8000 alone; `client`, its other group, lets it out everywhere until its egress is taken.
    const rules = world.network.admin.securityGroups(world.scope).find((group) => group.groupId === client)?.rules ?? [];
    await setRules(
      client,
      rules.filter((candidate) => !candidate.egress),
    );
    try {
      const [open, shut] = await Promise.all([world.reach(silent.ns, server.ip, 8000), world.reach(silent.ns, server.ip, 8001)]);
      expect(open.tcp).toBe(silent.ip);
      expect(shut).toEqual({ tcp: undefined, udp: undefined });
    } finally {
      await setRules(client, rules);
    }
    expect((await world.reach(silent.ns, server.ip, 8001)).tcp).toBe(silent.ip);
  });

  test("an address that is not the interface's own cannot be used", async () => {
    await world.ip(stranger.ns, [`address add ${caller.ip}/32 dev lo`]);
    expect(await world.reach(stranger.ns, server.ip, 8001, caller.ip)).toEqual({ tcp: undefined, udp: undefined });
  });
});

describe("load balancers, which live in the VPC's own namespace", () => {
  test("are reached as their groups say", async () => {
    const [listener, other] = await Promise.all([world.reach(stranger.ns, balancerIp, 80), world.reach(stranger.ns, balancerIp, 81)]);
    expect(listener).toEqual({ tcp: stranger.ip, udp: undefined });
    expect(other).toEqual({ tcp: undefined, udp: undefined });
  });

  test("reach targets whose groups name theirs, with their own address as source", async () => {
    const vpc = await world.vpcNetns();
    const [target, closed] = await Promise.all([world.reach(vpc, server.ip, 9000, balancerIp), world.reach(vpc, caller.ip, 8000, balancerIp)]);
    expect(target).toEqual({ tcp: balancerIp, udp: balancerIp });
    expect(closed).toEqual({ tcp: undefined, udp: undefined });
  });
});

describe("the host and the world", () => {
  test("the host counts as outside the VPC", async () => {
    const [open, shut, task] = await Promise.all([
      world.reach(world.host, balancerIp, 80),
      world.reach(world.host, balancerIp, 81),
      world.reach(world.host, server.ip, 8001),
    ]);
    const [endpoint] = await world.network.endpoints();
    expect(open.tcp).toBe(endpoint?.hostAddress);
    expect(shut).toEqual({ tcp: undefined, udp: undefined });
    expect(task).toEqual({ tcp: undefined, udp: undefined });
  });

  test("tasks reach the internet, the internet does not reach them", async () => {
    expect(await world.reach(caller.ns, "203.0.113.2", 80)).toEqual({ tcp: "203.0.113.1", udp: "203.0.113.1" });
    await world.ip(world.internet, [`route add ${world.vpcCidr} via 203.0.113.1`]);
    expect(await world.reach(world.internet, balancerIp, 80)).toEqual({ tcp: undefined, udp: undefined });
  });

  test("nothing of the host is open but the ports that the user chose, also those on its loopback", async () => {
    await Promise.all([world.serve(world.host, [5432], "127.0.0.1"), world.serve(world.host, [5433], "0.0.0.0")]);
    const address = (await world.network.endpoints())[0]?.hostAddress ?? "";
    const [chosen, other, byLan] = await Promise.all([
      world.reach(caller.ns, address, 5432),
      world.reach(caller.ns, address, 5433),
      world.reach(caller.ns, "203.0.113.1", 5433),
    ]);
    expect(chosen).toEqual({ tcp: caller.ip, udp: caller.ip });
    expect(other).toEqual({ tcp: undefined, udp: undefined });
    expect(byLan).toEqual({ tcp: undefined, udp: undefined });
  });

  test("metadata and the AWS APIs are reached whatever the groups say, and see the task's own address", async () => {
    const [endpoint] = await world.network.endpoints();
    if (endpoint === undefined) throw new Error("no endpoint");
    await world.serve(world.host, [endpoint.apiPort, endpoint.metadataPort], endpoint.hostAddress);
    const api = new URL(endpoint.apiUrl);
    const [metadata, apis, imds] = await Promise.all([
      world.reach(silent.ns, "169.254.170.2", 80),
      world.reach(silent.ns, api.hostname, Number(api.port)),
      world.reach(silent.ns, "169.254.169.254", 80),
    ]);
    expect(metadata.tcp).toBe(silent.ip);
    expect(apis.tcp).toBe(silent.ip);
    expect(imds).toEqual({ tcp: undefined, udp: undefined });
  });
});

describe("changes", () => {
  test("a revoke ends new connections; what is established goes on, as on AWS", async () => {
    const open = world.spawnIn(caller.ns, [
      process.execPath,
      "-e",
      `const c = require("node:net").connect(8000, process.argv[1]); c.on("data", (d) => console.log(String(d).trim())); process.on("SIGUSR2", () => c.write("still here"));`,
      server.ip,
    ]);
    const nextLine = () => new Promise<string>((resolve) => open.stdout?.once("data", (data: Buffer) => resolve(data.toString().trim())));
    expect(await nextLine()).toBe(caller.ip);
    const rules = world.network.admin.securityGroups(world.scope).find((group) => group.groupId === web)?.rules ?? [];
    await setRules(
      web,
      rules.filter((candidate) => candidate.protocol !== "tcp"),
    );
    try {
      expect((await world.reach(caller.ns, server.ip, 8000)).tcp).toBeUndefined();
      const line = nextLine();
      open.kill("SIGUSR2");
      expect(await line).toBe("still here");
    } finally {
      await setRules(web, rules);
    }
    expect((await world.reach(caller.ns, server.ip, 8000)).tcp).toBe(caller.ip);
  });

  test("a listener that is there before its interface is never open to those it must not be", async () => {
    const ns = `tgt${world.instanceId}-race`;
    const path = await world.addNamespace(ns);
    await world.serve(ns, [8000]);
    const request = world.request("race", [web]);
    const { privateIpv4 } = await world.network.allocate(request);
    // Tries without a pause from before the plug until after it, and says how many got through.
    const script = `let through = 0, on = true; const [, host] = process.argv; process.on("SIGUSR2", () => { on = false; });
      const net = require("node:net"); let open = 0;
      const again = () => { if (!on) { console.log(through); process.exit(0); } const c = net.connect(8000, host); c.on("connect", () => through++); c.on("error", () => {}); setTimeout(() => c.destroy(), 40); setTimeout(again, 1); };
      again(); console.log("trying");`;
    const attacker = world.spawnIn(stranger.ns, [process.execPath, "-e", script, privateIpv4]);
    await new Promise((resolve) => attacker.stdout?.once("data", resolve));
    await world.network.plug(request.attachmentId, path);
    expect((await world.reach(caller.ns, privateIpv4, 8000)).tcp).toBe(caller.ip);
    const count = new Promise((resolve) => attacker.stdout?.once("data", (data: Buffer) => resolve(Number(data.toString()))));
    attacker.kill("SIGUSR2");
    expect(await count).toBe(0);
    await world.network.detach(request.attachmentId);
  });

  test("a detach leaves nothing: no link, no route, no membership, and the address is the last to come again", async () => {
    const { ns, ip, attachmentId } = await world.task("gone", [web]);
    const vpc = await world.vpcNetns();
    expect(await world.text(vpc, "nft", "list", "ruleset")).toContain(ip);
    await world.network.detach(attachmentId);
    await world.network.detach(attachmentId);
    expect(await world.text(vpc, "nft", "list", "ruleset")).not.toContain(ip);
    expect(await world.text(vpc, "ip", "route")).not.toContain(ip);
    expect(await world.text(ns, "ip", "-o", "link")).not.toContain("eth0");
    expect((await world.network.list()).some((attachment) => attachment.attachmentId === attachmentId)).toBe(false);
    expect((await world.task("next", [web])).ip).not.toBe(ip);
  });

  test("asking twice for the same attachment answers the same address, also at the same time", async () => {
    const request = world.request("twice", [web]);
    const [one, two] = await Promise.all([world.network.allocate(request), world.network.allocate(request)]);
    expect(two).toEqual(one);
    expect(await world.network.allocate(request)).toEqual(one);
    await world.network.detach(request.attachmentId);
  });
});
