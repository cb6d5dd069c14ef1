/** The network across crashes, and after it is taken away. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../../src/host/run.ts";
import { World } from "./world.ts";

let world: World;

beforeEach(async () => {
  world = new World();
  await world.makeHost();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

/** The rules of a namespace without what moves by itself, in an order that does not. */
async function rules(namespace: string): Promise<unknown> {
  const { nftables } = JSON.parse(await world.text(namespace, "nft", "-j", "list", "ruleset")) as {
    nftables: Record<string, Record<string, unknown>>[];
  };
  const plain = nftables
    .filter((item) => item["metainfo"] === undefined)
    .map((item) =>
      JSON.stringify(item, (key, value: unknown) =>
        key === "handle" ? undefined : key === "elem" && Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value,
      ),
    );
  // Rules keep their order inside a chain; sets and chains have none.
  return [...plain.filter((text) => !text.startsWith('{"rule"')).sort(), ...groupBy(plain.filter((text) => text.startsWith('{"rule"')))];
}

function groupBy(texts: readonly string[]): string[] {
  const chainOf = (text: string): string => (JSON.parse(text) as { rule: { chain: string } }).rule.chain;
  return texts
    .map((text, index) => ({ text, index }))
    .sort((a, b) => chainOf(a.text).localeCompare(chainOf(b.text)) || a.index - b.index)
    .map(({ text }) => text);
}

async function observe(namespace: string): Promise<unknown> {
  const [links, routes, table] = await Promise.all([
    world.text(namespace, "ip", "-o", "address"),
    world.text(namespace, "ip", "route"),
    rules(namespace),
  ]);
  // Duplicate address detection ends when it likes.
  return { links: links.replaceAll(" tentative", ""), routes, table };
}

test("a new process over the same store adopts what runs: the kernel is as the incremental changes had left it", async () => {
  await world.newNetwork();
  await world.network.start();
  const web = await world.group("web");
  await world.group("other");
  const gone = await world.group("gone");
  await world.network.admin.deleteSecurityGroup(world.scope, gone);
  const a = await world.task("a", [web]);
  const b = await world.task("b", [], "b");
  const c = await world.task("c", [web], "c");
  await world.network.attachLocal(world.request("balancer", [web]));
  await world.network.detach(c.attachmentId);
  await world.network.setNames("service", {
    vpcId: (await world.network.endpoints())[0]?.vpcId ?? "",
    host: true,
    records: [{ name: "web.local", addresses: [a.ip] }],
  });
  const vpc = await world.vpcNetns();
  const before = [await observe(vpc), await observe(world.host), await observe(a.ns), readFileSync(world.hostsPath, "utf8")];

  const daemons = world.supervisor.list();
  await world.newNetwork();
  await world.network.start();
  expect([await observe(vpc), await observe(world.host), await observe(a.ns), readFileSync(world.hostsPath, "utf8")]).toEqual(before);
  expect(world.supervisor.list().map(({ name, pid }) => [name, pid])).toEqual(daemons.map(({ name, pid }) => [name, pid]));
  expect((await world.network.list()).map((attachment) => attachment.status.privateIpv4)).toContain(b.ip);
});

test("what was broken while nobody looked is mended, and what nobody owns is swept", async () => {
  await world.newNetwork();
  await world.network.start();
  const a = await world.task("a", []);
  const b = await world.task("b", []);
  const lost = await world.task("lost", []);
  const vpc = await world.vpcNetns();
  const before = await observe(vpc);
  const eniLinks = (await world.text(vpc, "ip", "-o", "link")).match(/eni[0-9a-f]+/g) ?? [];
  expect(eniLinks.length).toBe(3);
  // A half made plug, rules lost, a namespace and a link of a VPC that is forgotten, an interface that no record names.
  await world.ip(vpc, [`route del ${a.ip}/32`, "link add eni0123456789ab type veth peer name eniba9876543210"]);
  await world.text(vpc, "nft", "flush", "ruleset");
  await run(["ip", "netns", "add", `tg-${world.instanceId}-deadbeef`]);
  await world.ip(world.host, [`link add tg${world.instanceId}-dead00 type veth peer name host0 netns /run/netns/tg-${world.instanceId}-deadbeef`]);
  await run(["ip", "netns", "del", lost.ns]);

  await world.newNetwork();
  await world.network.start();
  await world.network.detach(lost.attachmentId);
  await world.serve(b.ns, [8000]);
  expect((await world.reach(a.ns, b.ip, 8000)).tcp).toBe(a.ip);
  expect(await world.text(vpc, "ip", "-o", "link")).not.toContain("eni0123456789ab");
  expect((await run(["ip", "netns", "list"])).stdout).not.toContain(`tg-${world.instanceId}-deadbeef`);
  expect(await world.text(world.host, "ip", "-o", "link")).not.toContain("-dead00");
  expect(Object.keys(before as object)).toEqual(Object.keys((await observe(vpc)) as object));
});

test("after a reboot, when all is gone but the records, the VPC is made anew", async () => {
  await world.newNetwork();
  await world.network.start();
  await world.task("a", []);
  const vpc = await world.vpcNetns();
  await world.supervisor.stopAll();
  await run(["ip", "netns", "del", vpc]);
  await world.text(world.host, "nft", "flush", "ruleset");
  await world.newNetwork();
  await world.network.start();
  const b = await world.task("b", []);
  const c = await world.task("c", [], "b");
  await world.serve(c.ns, [8000]);
  expect((await world.reach(b.ns, c.ip, 8000)).tcp).toBe(b.ip);
});

test("egress works where the host's firewall drops what is forwarded, and the firewall is left as it was", async () => {
  const host = (...command: readonly string[]) => world.text(world.host, ...command);
  await host("iptables-nft", "-P", "FORWARD", "DROP");
  await host("iptables-nft", "-P", "INPUT", "DROP");
  await host("iptables-nft", "-N", "DOCKER-USER");
  await host("iptables-nft", "-A", "DOCKER-USER", "-j", "RETURN");
  await host("iptables-nft", "-A", "FORWARD", "-j", "DOCKER-USER");
  const firewall = await host("iptables-nft", "-S");
  await world.newNetwork();
  await world.network.start();
  const a = await world.task("a", []);
  const [endpoint] = await world.network.endpoints();
  await Promise.all([world.serve(world.internet, [80]), world.serve(world.host, [endpoint?.metadataPort ?? 0], endpoint?.hostAddress)]);
  expect((await world.reach(a.ns, "203.0.113.2", 80)).tcp).toBe("203.0.113.1");
  expect((await world.reach(a.ns, "169.254.170.2", 80)).tcp).toBe(a.ip);
  // Once only, however often it starts.
  await world.newNetwork();
  await world.network.start();
  expect((await host("iptables-nft", "-S")).split(`tidegate-${world.instanceId}`).length - 1).toBe(4);
  await world.supervisor.stopAll();
  await world.network.removeEverything();
  expect(await host("iptables-nft", "-S")).toBe(firewall);
});

test("removeEverything leaves links, namespaces, rules, routes, settings and /etc/hosts as they were", async () => {
  writeFileSync(world.hostsPath, "127.0.0.1 localhost\n10.0.0.1 a line without an end");
  const look = async () => ({
    links: await world.text(world.host, "ip", "-o", "link"),
    routes: await world.text(world.host, "ip", "route"),
    rules: await world.text(world.host, "nft", "list", "ruleset"),
    settings: await world.text(world.host, "sh", "-c", "cd /proc/sys/net/ipv4; grep -r . ip_forward conf/all conf/default conf/eth0 conf/lo | sort"),
    hosts: readFileSync(world.hostsPath, "utf8"),
    namespaces: (await run(["ip", "netns", "list"])).stdout.split("\n").filter((line) => line.includes(`tg-${world.instanceId}`)),
  });
  // A new namespace takes these over from the machine, where a Docker engine may have switched forwarding on.
  await world.text(world.host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward");
  const before = await look();
  await world.newNetwork();
  await world.network.start();
  const a = await world.task("a", []);
  const [endpoint] = await world.network.endpoints();
  await world.network.setNames("lb", {
    vpcId: endpoint?.vpcId ?? "",
    host: true,
    records: [{ name: "lb.elb.tidegate.internal", addresses: [a.ip] }],
  });
  expect(readFileSync(world.hostsPath, "utf8")).toContain(`${a.ip} lb.elb.tidegate.internal`);
  expect((await look()).settings).not.toBe(before.settings);
  await world.network.detach(a.attachmentId);
  await world.network.removeEverything();
  expect(await look()).toEqual(before);
  expect(world.supervisor.list()).toEqual([]);
});

test("of two instances on a host, the first to go takes nothing from the other, and the last leaves the host as it was", async () => {
  const hostNames = (name: string) => ({ host: true, records: [{ name, addresses: ["192.0.2.7"] }] });
  const look = async () => ({
    rules: await world.text(world.host, "nft", "list", "ruleset"),
    forwarding: (await world.text(world.host, "cat", "/proc/sys/net/ipv4/conf/eth0/forwarding")).trim(),
    hosts: readFileSync(world.hostsPath, "utf8"),
  });
  await world.text(world.host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward");
  const before = await look();
  expect(before.forwarding).toBe("0");
  await world.newNetwork();
  await world.network.start();
  const other = new World({ vpcCidr: "10.250.16.0/20" }, world);
  try {
    await other.newNetwork();
    await other.network.start();
    await world.serve(world.internet, [80]);
    const task = await other.task("a", []);
    const [own, others] = await Promise.all([world.network.endpoints(), other.network.endpoints()]);
    await Promise.all([
      world.network.setNames("lb", { vpcId: own[0]?.vpcId ?? "", ...hostNames("one.elb.tidegate.internal") }),
      other.network.setNames("lb", { vpcId: others[0]?.vpcId ?? "", ...hostNames("two.elb.tidegate.internal") }),
    ]);
    expect(readFileSync(world.hostsPath, "utf8")).toMatch(/one\.elb[^]*two\.elb|two\.elb[^]*one\.elb/);
    await world.network.removeEverything();
    expect(readFileSync(world.hostsPath, "utf8")).toContain("two.elb");
    expect((await other.reach(task.ns, "203.0.113.2", 80)).tcp).toBe("203.0.113.1");
    await other.network.detach(task.attachmentId);
    await other.network.removeEverything();
    expect(await look()).toEqual(before);
  } finally {
    await other[Symbol.asyncDispose]();
  }
});

test("a block that the host uses already is refused with the holder's name and a free one", async () => {
  await world.ip(world.host, [`route add ${world.vpcCidr} via 203.0.113.2`]);
  await world.newNetwork();
  await expect(world.network.start()).rejects.toThrow(/overlaps 10\.20\d\.\d+\.0\/20, a route by eth0; 172\.31\.0\.0\/16 is free/);
});

test("an interface that is unplugged keeps its address and groups for the next namespace, and is in force in none meanwhile", async () => {
  await world.newNetwork();
  await world.network.start();
  const web = await world.group("web");
  await world.task("a", [web]);
  await world.task("b", [web], "b");
  const vpc = await world.vpcNetns();
  const before = await observe(vpc);
  const old = await world.task("c", [web], "c");
  const plugged = await world.text(vpc, "ip", "-o", "route");

  await world.network.unplug(old.attachmentId);
  await world.network.unplug(old.attachmentId);
  expect(await observe(vpc)).toEqual(before);
  await world.newNetwork();
  await world.network.start();
  expect(await observe(vpc)).toEqual(before);

  const next = `${old.ns}-2`;
  await world.network.plug(old.attachmentId, await world.addNamespace(next));
  expect(await world.text(vpc, "ip", "-o", "route")).toBe(plugged);
  expect(await world.text(next, "ip", "-o", "address")).toContain(old.ip);
});
