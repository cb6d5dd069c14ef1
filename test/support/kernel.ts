/** What the kernel says of an instance's containers. */
import { readdir, readFile, readlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../../src/host/run.ts";

export interface ContainerProcess {
  readonly pid: number;
  readonly command: string;
  /** Of the container, below the memory controller's root (v1) or the one root (v2). */
  readonly cgroup: string;
  readonly startTicks: string;
}

/** The processes in an instance's containers, pause processes left out; `marker` keeps those whose command line has it. */
export async function containerProcesses(instanceId: string, marker = ""): Promise<readonly ContainerProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => containerProcess(Number(pid), instanceId)));
  return found.filter(
    (process) => process !== undefined && process.command !== "/catatonit -P" && process.command.includes(marker),
  ) as ContainerProcess[];
}

async function containerProcess(pid: number, instanceId: string): Promise<ContainerProcess | undefined> {
  const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  const [cgroups, cmdline, stat] = await Promise.all([read("cgroup"), read("cmdline"), read("stat")]);
  const line = cgroups.split("\n").find((text) => /^(\d+:memory:|0::)/.test(text) && text.includes(`/tidegate-${instanceId}/`));
  if (line === undefined || cmdline === "") return undefined;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { pid, command: cmdline.replaceAll("\0", " ").trim(), cgroup: line.split(":").slice(2).join(":"), startTicks: fields[19] ?? "" };
}

/** Of each container the eldest process whose command line has `marker`: servers and shells fork, and a fork has the same. */
export async function firstProcesses(instanceId: string, marker: string): Promise<readonly ContainerProcess[]> {
  const eldest = new Map<string, ContainerProcess>();
  for (const process of await containerProcesses(instanceId, marker)) {
    const known = eldest.get(process.cgroup);
    if (known === undefined || Number(process.startTicks) < Number(known.startTicks)) eldest.set(process.cgroup, process);
  }
  return [...eldest.values()].toSorted((a, b) => a.cgroup.localeCompare(b.cgroup));
}

/** The eldest process with `marker` in its command line, in the one container that has such. @throws when none or several have. */
export async function theProcess(instanceId: string, marker: string): Promise<ContainerProcess> {
  const [first, ...more] = await firstProcesses(instanceId, marker);
  if (first === undefined || more.length > 0) {
    throw new Error(`${more.length + (first === undefined ? 0 : 1)} containers have a process with "${marker}" in its command`);
  }
  return first;
}

export const isCgroup2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

/** The limits of the task that holds a container: the cgroup above the container's own. */
export async function taskLimits({ cgroup }: ContainerProcess): Promise<{ readonly memoryBytes: number; readonly cpuCores: number }> {
  const task = dirname(cgroup);
  const read = async (controller: string, file: string): Promise<string> =>
    (await readFile(join("/sys/fs/cgroup", isCgroup2 ? "" : controller, task, file), "utf8")).trim();
  if (isCgroup2) {
    const [quota = "", period = ""] = (await read("", "cpu.max")).split(" ");
    return { memoryBytes: Number(await read("", "memory.max")), cpuCores: Number(quota) / Number(period) };
  }
  const [quota, period] = await Promise.all([read("cpu", "cpu.cfs_quota_us"), read("cpu", "cpu.cfs_period_us")]);
  return { memoryBytes: Number(await read("memory", "memory.limit_in_bytes")), cpuCores: Number(quota) / Number(period) };
}

/** The folder of the cgroup of the task that holds a container: under a controller's hierarchy, or the one of v2. */
export function taskGroup({ cgroup }: ContainerProcess, controller: string): string {
  return join("/sys/fs/cgroup", isCgroup2 ? "" : controller, dirname(cgroup));
}

/** The inode of a process's network namespace. */
export function netnsOf({ pid }: ContainerProcess): Promise<string> {
  return readlink(`/proc/${pid}/ns/net`);
}

/** TCP ports on which somebody listens in a process's network namespace. */
export async function listeningPorts({ pid }: ContainerProcess): Promise<readonly number[]> {
  const texts = await Promise.all(["tcp", "tcp6"].map((file) => readFile(`/proc/${pid}/net/${file}`, "utf8").catch(() => "")));
  const LISTEN = "0A";
  return texts
    .flatMap((text) => text.trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTEN)
    .map((fields) => Number.parseInt((fields[1] ?? "").split(":").at(-1) ?? "", 16));
}

/** The names of the VPC's namespaces of an instance. */
export async function vpcNamespaces(instanceId: string): Promise<readonly string[]> {
  return (await readdir("/run/netns")).filter((name) => name.startsWith(`tg-${instanceId}-`));
}

/** What `nft` lists of a chain or set of the VPC's table. */
export async function nftList(netns: string, kind: "chain" | "set", name: string): Promise<string> {
  return (await run(["ip", "netns", "exec", netns, "nft", "list", kind, "inet", "tidegate", name])).stdout;
}
