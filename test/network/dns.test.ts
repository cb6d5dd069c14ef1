/** The VPC's resolver, asked from a task. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { World } from "./world.ts";

const world = new World();
let task: Awaited<ReturnType<World["task"]>>;
let server: string;
let vpcId: string;

beforeAll(async () => {
  await world.start();
  task = await world.task("a", []);
  server = (await world.network.dnsFor(world.subnet("a"))).servers[0] ?? "";
  vpcId = (await world.network.endpoints())[0]?.vpcId ?? "";
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** The addresses of a name, or the resolver's error code. */
async function ask(name: string, at = server): Promise<string> {
  const script = `const r = new (require("node:dns").promises.Resolver)({ timeout: 5000, tries: 3 }); const [, at, name] = process.argv; r.setServers([at]);
    r.resolve4(name).then((a) => console.log(a.sort().join(" ")), (e) => console.log(e.code));`;
  return (await world.text(task.ns, process.execPath, "-e", script, at, name)).trim();
}

test("answers the private host name of an address, at both of its addresses, and nothing for one that is not there", async () => {
  const name = `ip-${task.ip.replaceAll(".", "-")}.eu-west-1.compute.internal`;
  expect((await world.network.list())[0]?.status.privateDnsName).toBe(name);
  expect(await ask(name)).toBe(task.ip);
  expect(await ask(name, "169.254.169.253")).toBe(task.ip);
  expect(await ask("ip-10-1-1-1.eu-west-1.compute.internal")).toBe("ENOTFOUND");
  expect(await ask("nobody.eu-west-1.elb.tidegate.internal")).toBe("ENOTFOUND");
});

test("names the host", async () => {
  expect(await ask("host.tidegate.internal")).toBe((await world.network.endpoints())[0]?.hostAddress);
});

test("takes names live: several owners add up, a change replaces, an empty set removes", async () => {
  const set = (owner: string, ...addresses: readonly string[]) =>
    world.network.setNames(owner, {
      vpcId,
      host: false,
      records: addresses.length === 0 ? [] : [{ name: "Web.eu-west-1.elb.tidegate.internal", addresses }],
    });
  await set("one", "10.200.0.9");
  expect(await ask("web.eu-west-1.elb.tidegate.internal")).toBe("10.200.0.9");
  await set("two", "10.200.0.10", "10.200.0.11");
  expect(await ask("web.eu-west-1.elb.tidegate.internal")).toBe("10.200.0.10 10.200.0.11 10.200.0.9");
  await set("two", "10.200.0.12");
  expect(await ask("web.eu-west-1.elb.tidegate.internal")).toBe("10.200.0.12 10.200.0.9");
  await set("one");
  expect(await ask("web.eu-west-1.elb.tidegate.internal")).toBe("10.200.0.12");
  await set("two");
  expect(await ask("web.eu-west-1.elb.tidegate.internal")).toBe("ENOTFOUND");
});

test("asks the host's own name servers for the rest", async () => {
  const dns = `
    const u = require("node:dgram").createSocket("udp4");
    u.on("message", (q, r) => {
      const end = q.indexOf(0, 12) + 5;
      const question = q.subarray(12, end);
      const isA = q.readUInt16BE(end - 4) === 1;
      const head = Buffer.from([q[0], q[1], 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
      const answer = isA ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 51, 100, 7]) : Buffer.alloc(0);
      u.send(Buffer.concat([head, question, answer]), r.port, r.address);
    });
    u.bind(53, "203.0.113.2", () => console.log("listening"));`;
  const child = world.spawnIn(world.internet, [process.execPath, "-e", dns]);
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  expect(await ask("www.example.com")).toBe("198.51.100.7");
});

test("one that is killed is back with all its names", async () => {
  await world.network.setNames("kept", { vpcId, host: false, records: [{ name: "kept.local", addresses: ["10.200.0.20"] }] });
  expect(await ask("kept.local")).toBe("10.200.0.20");
  const [{ pid = 0 } = {}] = world.supervisor.list();
  process.kill(pid, "SIGKILL");
  await expect.poll(() => ask("kept.local")).toBe("10.200.0.20");
  expect(world.supervisor.list()[0]?.pid).not.toBe(pid);
});
