import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../core/clock.ts";
import type { KeptInstance } from "../../core/config.ts";
import { messageOf } from "../../core/problem.ts";
import { nodeCommand } from "../../host/node-command.ts";
import { run } from "../../host/run.ts";
import { createRuntimeClient } from "../../loadbalancer/haproxy/runtime-client.ts";
import { hostLinkPrefix, hostTable, NETNS_FOLDER, netnsPrefix, VPC_TABLE } from "../../network/object-names.ts";
import { readRecords } from "../../store/sqlite/copy-database.ts";
import { VERSION } from "../version.ts";
import { redactRecord } from "./redact.ts";

/** One text of the bundle. */
export interface BundlePart {
  readonly path: string;
  readonly text: string;
}

export interface BundleSource {
  readonly instance: KeptInstance;
  readonly dataDir: string;
  /** A copy, which nobody writes to. */
  readonly databaseCopy: string;
}

const LOG_LINES = 2_000;
const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

/** The records by collection, without secrets, and the texts that were left out of them. */
export function recordParts({ databaseCopy }: BundleSource): { readonly parts: readonly BundlePart[]; readonly hidden: readonly string[] } {
  const lines = new Map<string, string[]>();
  const hidden: string[] = [];
  for (const { collection, key, value } of readRecords(databaseCopy)) {
    const redacted = redactRecord(collection, value);
    hidden.push(...redacted.hidden);
    const known = lines.get(collection) ?? [];
    lines.set(collection, known);
    known.push(redacted.value === undefined ? "(a record that is left out)" : JSON.stringify({ key, value: redacted.value }));
  }
  return { parts: [...lines].map(([collection, texts]) => ({ path: `records/${collection}.jsonl`, text: texts.join("\n") })), hidden };
}

/** All else: what programs say, what files hold. What cannot be had says why in its place. */
export async function hostParts(source: BundleSource): Promise<readonly BundlePart[]> {
  const { instance, dataDir } = source;
  const parts = await Promise.all([
    part("versions.txt", () => versions()),
    part("instance.json", async () => JSON.stringify(instance, null, 2)),
    part("doctor.json", () => cli(dataDir, "doctor")),
    part("status.json", () => cli(dataDir, "status")),
    part("metrics.txt", async () => (await fetch(`http://127.0.0.1:${instance.port}/metrics`)).text()),
    part("disk.txt", () => output(["df", "-h", dataDir])),
    part("server-command.txt", () => serverCommand(instance)),
    ...kernelParts(instance, dataDir),
    ...(await logParts(dataDir)),
    ...(await proxyParts(instance, dataDir)),
  ]);
  return parts;
}

async function part(path: string, read: () => Promise<string>): Promise<BundlePart> {
  return { path, text: await read().catch((error: unknown) => `(could not be had: ${messageOf(error)})`) };
}

async function versions(): Promise<string> {
  const release = (await readFile("/proc/sys/kernel/osrelease", "utf8")).trim();
  const distribution = (await readFile("/etc/os-release", "utf8").catch(() => "")).split("\n").find((line) => line.startsWith("PRETTY_NAME="));
  return [`tidegate ${VERSION}`, `node ${process.version}`, `Linux ${release}`, distribution ?? ""].join("\n");
}

async function cli(dataDir: string, command: "doctor" | "status"): Promise<string> {
  const { stdout } = await run(nodeCommand(CLI, ["--data-dir", dataDir, command, "--json"]), { okCodes: [0, 1, 3], timeoutMs: 60_000 });
  return stdout;
}

/** The flags that the control plane was started with. */
async function serverCommand({ runDir }: KeptInstance): Promise<string> {
  const { pid } = JSON.parse(await readFile(join(runDir, "server.json"), "utf8")) as { readonly pid: number };
  return (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0").join(" ");
}

async function output(command: readonly string[]): Promise<string> {
  return (await run(command, { timeoutMs: 30_000 })).stdout;
}

/** The kernel's own lists, of what carries this instance's name alone. */
function kernelParts({ instanceId, vpcCidr }: KeptInstance, dataDir: string): readonly Promise<BundlePart>[] {
  const mine = (line: string): boolean => [instanceId, dataDir, vpcCidr].some((name) => line.includes(name));
  const lines = async (command: readonly string[], keep = mine): Promise<string> => (await output(command)).split("\n").filter(keep).join("\n");
  const namespaces = async (): Promise<readonly string[]> => (await readdir(NETNS_FOLDER)).filter((name) => name.startsWith(netnsPrefix(instanceId)));
  const inEach = async (command: readonly string[]): Promise<string> => {
    const texts = (await namespaces()).map(async (name) => `== ${name}\n${await output(["ip", "netns", "exec", name, ...command])}`);
    return (await Promise.all(texts)).join("\n");
  };
  return [
    part("kernel/links.txt", () => lines(["ip", "-brief", "link"], (line) => line.startsWith(hostLinkPrefix(instanceId)))),
    part("kernel/routes.txt", () => lines(["ip", "-4", "route", "show", "table", "all"], (line) => mine(line) || line.startsWith("default"))),
    part("kernel/nft-host.txt", () => output(["nft", "list", "table", "inet", hostTable(instanceId)])),
    part("kernel/nft-tables.txt", () => output(["nft", "list", "tables"])),
    part("kernel/iptables.txt", () => lines(["iptables-save"])),
    part("kernel/mounts.txt", () => lines(["cat", "/proc/self/mounts"])),
    part("kernel/cgroups.txt", () => output(["find", "/sys/fs/cgroup", "-type", "d", "-path", `*tidegate-${instanceId}*`])),
    part("kernel/vpc-links.txt", () => inEach(["ip", "-brief", "address"])),
    part("kernel/vpc-routes.txt", () => inEach(["ip", "-4", "route"])),
    part("kernel/vpc-nft.txt", () => inEach(["nft", "list", "table", "inet", VPC_TABLE])),
    part("kernel/hosts.txt", async () => {
      const text = await readFile("/etc/hosts", "utf8");
      return new RegExp(`# tidegate ${instanceId} begin[^]*?# tidegate ${instanceId} end`).exec(text)?.[0] ?? "(no block)";
    }),
  ];
}

/** The ends of Tidegate's and the daemons' own logs; never what containers wrote. */
async function logParts(dataDir: string): Promise<readonly Promise<BundlePart>[]> {
  const files = ["tidegate.log", ...(await filesIn(dataDir, "log")), ...(await haproxyFolders(dataDir)).map((vpc) => `haproxy/${vpc}/haproxy.log`)];
  const there = await Promise.all(files.map(async (file) => ((await stat(join(dataDir, file)).catch(() => undefined)) === undefined ? [] : [file])));
  return there.flat().map((file) => part(`logs/${file.replaceAll("/", "-")}`, () => tail(join(dataDir, file))));
}

function tail(path: string): Promise<string> {
  return output(["tail", "-n", String(LOG_LINES), path]);
}

async function filesIn(dataDir: string, folder: string): Promise<readonly string[]> {
  const names = await readdir(join(dataDir, folder)).catch(() => []);
  return names.filter((name) => name.endsWith(".log")).map((name) => join(folder, name));
}

function haproxyFolders(dataDir: string): Promise<readonly string[]> {
  return readdir(join(dataDir, "haproxy")).catch(() => []);
}

async function proxyParts({ runDir }: KeptInstance, dataDir: string): Promise<readonly Promise<BundlePart>[]> {
  return (await haproxyFolders(dataDir)).flatMap((vpcId) => {
    const ask = (text: string): Promise<string> => createRuntimeClient(join(runDir, `lb-${vpcId}.sock`), systemClock).command(text);
    return [
      part(`haproxy/${vpcId}.cfg`, () => readFile(join(dataDir, "haproxy", vpcId, "haproxy.cfg"), "utf8")),
      part(`haproxy/${vpcId}-stat.csv`, () => ask("show stat")),
      part(`haproxy/${vpcId}-info.txt`, () => ask("show info")),
      part(`haproxy/${vpcId}-servers.txt`, () => ask("show servers state")),
    ];
  });
}
