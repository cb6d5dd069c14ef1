import { type ChildProcess, spawn } from "node:child_process";
import { readlink } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { VirtualPort } from "../../src/contracts/network.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { run } from "../../src/host/run.ts";
import { ServiceTables } from "../../src/network/service-tables.ts";
import { until } from "../support/instance.ts";

/** Virtual addresses in the kernel: a namespace with an interface of its own, and servers behind it that say who they are. */

const SERVICE = "10.100.0.7";
/** Of the interface, which clients come from. */
const OWN = "10.1.0.1";
const SERVERS = ["10.1.0.2", "10.1.0.3", "10.1.0.4"];
let holder: ChildProcess;
let netns: string;
const inside = (...command: readonly string[]) => run(["nsenter", `--net=${netns}`, "--", ...command], { okCodes: [0, 7, 28] });

beforeEach(async () => {
  const mine = await readlink("/proc/self/ns/net");
  const addresses = [OWN, ...SERVERS];
  const serve = `for (const a of ${JSON.stringify(addresses)}) require("net").createServer((s) => s.end(a)).listen(8080, a)`;
  const script = `ip link set lo up && ip link add eth0 type veth peer name peer && ip address add ${OWN}/16 dev eth0 && ip link set eth0 up &&
    ip link set peer up && ip route add default via 10.1.0.9 && ${SERVERS.map((address) => `ip address add ${address}/32 dev lo &&`).join(" ")}
    exec "$0" -e '${serve}'`;
  holder = spawn("unshare", ["--net", "--pid", "--fork", "--kill-child", "sh", "-c", script, process.execPath], { stdio: "ignore" });
  netns = `/proc/${holder.pid}/ns/net`;
  await until("the servers answer", async () => {
    if ((await readlink(netns).catch(() => mine)) === mine) return false;
    const said = await Promise.all(SERVERS.map((address) => ask(address, 8080)));
    return said.every((answer, index) => answer === SERVERS[index]);
  });
});
afterEach(() => holder.kill("SIGKILL"));

/** The server's own address, "refused", or "silent". */
async function ask(address: string, port: number): Promise<string> {
  const { code, stdout } = await inside("curl", "--silent", "--max-time", "20", `telnet://${address}:${port}`);
  return code === 7 ? "refused" : stdout.trim() || "silent";
}

test("ports lead to backends, keep clients, refuse, and change without forgetting", { timeout: 60_000 }, async () => {
  const tables = new ServiceTables(silentLogger);
  const port = (more: Partial<VirtualPort>): VirtualPort => ({ address: SERVICE, protocol: "tcp", port: 80, backends: [], ...more });
  const to = (...addresses: readonly string[]): VirtualPort["backends"] => addresses.map((address) => ({ address, port: 8080 }));
  const apply = (ports: readonly VirtualPort[], by = tables) => by.apply("attachment", netns, { cidr: "10.100.0.0/16", ports });
  const askOften = async (at: number): Promise<ReadonlySet<string>> => new Set(await Array.fromAsync({ length: 12 }, () => ask(SERVICE, at)));

  const kept = port({ port: 83, backends: to(...SERVERS), affinitySeconds: 60 });
  const fixed = [
    port({ port: 82 }),
    kept,
    port({ port: 84, backends: to(OWN), onlyItself: true }),
    port({ port: 85, backends: to("10.1.0.2"), onlyItself: true }),
  ];
  await apply([port({ backends: to(...SERVERS) }), ...fixed]);
  const reached = await askOften(80);
  expect(reached.size).toBeGreaterThan(1);
  expect([...reached].every((address) => SERVERS.includes(address))).toBe(true);
  // Neither a port without backends, nor one that is none, nor an address that nobody has, nor another's own: each is refused at once.
  for (const at of [82, 81, 85]) expect(await ask(SERVICE, at)).toBe("refused");
  expect(await ask("10.100.9.9", 80)).toBe("refused");
  expect(await ask(SERVICE, 84)).toBe(OWN);
  const [mine = ""] = await askOften(83);
  expect([...(await askOften(83))]).toEqual([mine]);

  // Another backend in one, and one less in the other: affinity remembers.
  const left = SERVERS.filter((address) => address === mine || address === SERVERS[0] || address === SERVERS[1]);
  await apply([port({ backends: to("10.1.0.3") }), ...fixed.with(1, { ...kept, backends: to(...left) })]);
  expect([...(await askOften(80))]).toEqual(["10.1.0.3"]);
  expect([...(await askOften(83))]).toEqual([mine]);
  // Its backend goes: another one takes over.
  await apply([port({}), ...fixed.with(1, { ...kept, backends: to(...SERVERS.filter((address) => address !== mine)) })]);
  expect(await ask(SERVICE, 80)).toBe("refused");
  const [next = ""] = await askOften(83);
  expect(next).not.toBe(mine);

  // The next Tidegate finds the table as it is wanted, and leaves it, with what it remembers; one that is damaged is made anew.
  const ports = [port({}), ...fixed.with(1, { ...kept, backends: to(...SERVERS.filter((address) => address !== mine)) })];
  await apply(ports, new ServiceTables(silentLogger));
  expect([...(await askOften(83))]).toEqual([next]);
  await inside("nft", "flush", "ruleset");
  await apply([port({ backends: to("10.1.0.4") })]);
  expect(await ask(SERVICE, 80)).toBe("10.1.0.4");
});
