import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GroupLimits } from "../../contracts/container-runtime.ts";
import type { Clock } from "../../core/clock.ts";
import { isProblem, Problem } from "../../core/problem.ts";
import { killProcess } from "../../host/process.ts";

/** Where the host mounts its hierarchies; the functions here take another for tests of a layout that the host does not have. */
const ROOT = "/sys/fs/cgroup";
const CPU_PERIOD_MICROS = 100_000;
const KILL_WAIT_MS = 10_000;

/** True on a host with the unified hierarchy (cgroup v2) alone; hybrid hosts count as v1. */
export function isCgroup2(root = ROOT): boolean {
  return existsSync(`${root}/cgroup.controllers`);
}

/** False where the kernel cannot count processes by cgroup: nothing bounds a task that forks without end there. */
export function countsProcesses(root = ROOT): boolean {
  if (!isCgroup2(root)) return existsSync(join(root, "pids"));
  return (readIfAny(join(root, "cgroup.controllers")) ?? "").split(" ").includes("pids");
}

/** CFS quota for a period of 100 ms; the kernel's smallest is 1 ms. */
export function cpuQuotaMicros(cpuUnits: number): number {
  return Math.max(1_000, Math.round((cpuUnits / 1024) * CPU_PERIOD_MICROS));
}

/** Sets the limits of a parent cgroup, on whichever version the host has. */
export function setGroupLimits(cgroupParent: string, limits: GroupLimits, root = ROOT): void {
  assertGroupPath(cgroupParent);
  try {
    if (isCgroup2(root)) setLimits2(root, cgroupParent, limits);
    else setLimits1(root, cgroupParent, limits);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem("unavailable", `cannot set the limits of cgroup ${cgroupParent}: ${(cause as Error).message}`, { cause });
  }
}

function setLimits2(root: string, cgroupParent: string, limits: GroupLimits): void {
  const folder = join(root, cgroupParent);
  mkdirSync(folder, { recursive: true });
  delegateControllers(root, cgroupParent);
  if (limits.memoryBytes !== undefined) {
    write(folder, "memory.max", limits.memoryBytes);
    // Absent where the kernel has no swap.
    if (existsSync(join(folder, "memory.swap.max"))) write(folder, "memory.swap.max", 0);
  }
  if (limits.cpuUnits !== undefined) write(folder, "cpu.max", `${cpuQuotaMicros(limits.cpuUnits)} ${CPU_PERIOD_MICROS}`);
  if (limits.processes !== undefined && existsSync(join(folder, "pids.max"))) write(folder, "pids.max", limits.processes);
}

/** Every inner node on the way hands its controllers down; inner nodes of ours hold no process. */
function delegateControllers(root: string, cgroupParent: string): void {
  const parts = cgroupParent.split("/").filter(Boolean);
  for (let depth = 0; depth < parts.length; depth++) {
    const folder = join(root, ...parts.slice(0, depth));
    const has = new Set(readFileSync(join(folder, "cgroup.subtree_control"), "utf8").trim().split(" "));
    for (const controller of ["cpu", "memory", "pids", "io", "cpuset"]) {
      if (has.has(controller)) continue;
      try {
        write(folder, "cgroup.subtree_control", `+${controller}`);
      } catch (cause) {
        if (controller === "cpu" || controller === "memory") throw undelegated(folder, controller, cause);
      }
    }
  }
}

/** What the kernel's bare EBUSY or ENOENT stands for. */
function undelegated(folder: string, controller: string, cause: unknown): Problem {
  const { code } = cause as NodeJS.ErrnoException;
  const why =
    code === "EBUSY"
      ? "processes live in that cgroup itself, as where Tidegate runs in a container with a cgroup namespace of its own: move them into a cgroup beneath it first, or run that container with --cgroupns=host"
      : code === "ENOENT" || code === "EINVAL"
        ? "the kernel does not have it there: see cgroup.controllers in that folder; cgroup_disable= on the kernel's command line, or a cgroup v1 mount of it, takes it away"
        : (cause as Error).message;
  return new Problem("unavailable", `tasks cannot be limited: ${folder} does not hand the ${controller} controller down: ${why}`, { cause });
}

function setLimits1(root: string, cgroupParent: string, limits: GroupLimits): void {
  if (limits.memoryBytes !== undefined) {
    const folder = join(root, "memory", cgroupParent);
    makeHierarchical(root, cgroupParent);
    setMemory1(folder, limits.memoryBytes);
  }
  if (limits.cpuUnits !== undefined) {
    const folder = join(root, "cpu", cgroupParent);
    mkdirSync(folder, { recursive: true });
    write(folder, "cpu.cfs_period_us", CPU_PERIOD_MICROS);
    write(folder, "cpu.cfs_quota_us", cpuQuotaMicros(limits.cpuUnits));
  }
  if (limits.processes !== undefined && countsProcesses(root)) {
    const folder = join(root, "pids", cgroupParent);
    mkdirSync(folder, { recursive: true });
    write(folder, "pids.max", limits.processes);
  }
}

/** Children count against their parent only under `use_hierarchy`, which older kernels leave off and forbid to change later. */
function makeHierarchical(root: string, cgroupParent: string): void {
  let folder = join(root, "memory");
  for (const part of cgroupParent.split("/").filter(Boolean)) {
    folder = join(folder, part);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "memory.use_hierarchy");
    if (existsSync(file) && readFileSync(file, "utf8").trim() === "0") write(folder, "memory.use_hierarchy", 1);
  }
}

function setMemory1(folder: string, bytes: number): void {
  const withSwap = existsSync(join(folder, "memory.memsw.limit_in_bytes"));
  const growing = withSwap && BigInt(bytes) > BigInt(readFileSync(join(folder, "memory.memsw.limit_in_bytes"), "utf8").trim());
  // memory + swap may never be below memory, so the order depends on the direction.
  const files = ["memory.limit_in_bytes", ...(withSwap ? ["memory.memsw.limit_in_bytes"] : [])];
  for (const file of growing ? files.reverse() : files) write(folder, file, bytes);
  // A container with less than its task may else swap up to the difference. Those made from now on inherit it.
  if (existsSync(join(folder, "memory.swappiness"))) write(folder, "memory.swappiness", 0);
}

/** Removes a group and its empty children. @throws Problem `conflict` while processes live in it. */
export function removeGroup(cgroupParent: string, root = ROOT): void {
  assertGroupPath(cgroupParent);
  for (const hierarchy of hierarchies(root)) removeTree(join(hierarchy, cgroupParent));
}

/** Names of the groups right beneath one, in whichever hierarchy; none when it is not there. */
export function groupsIn(cgroupParent: string): readonly string[] {
  assertGroupPath(cgroupParent);
  return [...new Set(hierarchies().flatMap((root) => foldersIn(join(root, cgroupParent))))];
}

function foldersIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** The folders under which a group's path counts: one on cgroup v2, one for each controller on v1. */
export function hierarchies(root = ROOT): readonly string[] {
  if (isCgroup2(root)) return [root];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(root, entry.name));
}

function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name));
    rmdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return;
    if (code === "EBUSY") throw new Problem("conflict", `cgroup ${folder} still holds processes: stop its containers first`);
    throw error;
  }
}

/** Removes a group that nobody needs any more, ending what still lives in it. @throws Problem `conflict` when a process does not go within ten seconds. */
export async function endGroup(cgroupParent: string, clock: Clock, root = ROOT): Promise<void> {
  const deadlineMs = clock.steadyMs() + KILL_WAIT_MS;
  for (;;) {
    try {
      return removeGroup(cgroupParent, root);
    } catch (error) {
      if (!isProblem(error, "conflict") || clock.steadyMs() > deadlineMs) throw error;
      killGroup(cgroupParent, root);
      await clock.sleep(20);
    }
  }
}

/** By the kernel where it can (cgroup v2 from 5.14 on), so that none forks away from it; else one by one. */
function killGroup(cgroupParent: string, root: string): void {
  const files = hierarchies(root).map((hierarchy) => join(hierarchy, cgroupParent, "cgroup.kill"));
  for (const file of files.filter((each) => existsSync(each))) writeIfThere(file, "1");
  for (const pid of processesOf(cgroupParent, root)) killProcess(pid);
}

/** Every process in a group and beneath it, as far as this process sees them. */
export function processesOf(cgroupParent: string, root = ROOT): readonly number[] {
  const pids = new Set<number>();
  for (const hierarchy of hierarchies(root)) collectPids(join(hierarchy, cgroupParent), pids);
  // Of a process of another pid namespace the kernel says 0, which as a target would be ourselves.
  pids.delete(0);
  return [...pids];
}

function collectPids(folder: string, pids: Set<number>): void {
  try {
    for (const line of readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n")) if (line !== "") pids.add(Number(line));
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) collectPids(join(folder, entry.name), pids);
  } catch {
    // Gone meanwhile.
  }
}

/** How often the kernel killed a process of this very cgroup for memory; `undefined` when the cgroup is gone. */
export function oomKillCount(cgroup: string, root = ROOT): number | undefined {
  const file = isCgroup2(root) ? join(root, cgroup, "memory.events") : join(root, "memory", cgroup, "memory.oom_control");
  return fieldOf(readIfAny(file), "oom_kill");
}

/** How many forks and threads the kernel refused in a group because of its limit of processes; 0 when the group is gone. */
export function refusedForks(cgroupParent: string, root = ROOT): number {
  const folder = isCgroup2(root) ? join(root, cgroupParent) : join(root, "pids", cgroupParent);
  const countOf = (path: string): number => fieldOf(readIfAny(join(path, "pids.events")), "max") ?? 0;
  // Counted where the limit is or where the process lives, as the kernel's version has it.
  const beneath = foldersIn(folder).reduce((sum, name) => sum + countOf(join(folder, name)), 0);
  return Math.max(countOf(folder), beneath);
}

export interface GroupUsage {
  readonly cpuUsageNanos: number;
  /** Without the page cache that the kernel would drop first. */
  readonly memoryBytes: number;
  /** The tightest limit that holds for the group, of itself or those above it; `undefined` when there is none. */
  readonly memoryLimitBytes: number | undefined;
}

/** What a cgroup uses; `undefined` when it is gone. */
export function usageOf(cgroup: string, root = ROOT): GroupUsage | undefined {
  return isCgroup2(root) ? usage2(root, cgroup) : usage1(root, cgroup);
}

function usage2(root: string, cgroup: string): GroupUsage | undefined {
  const folder = join(root, cgroup);
  const cpu = fieldOf(readIfAny(join(folder, "cpu.stat")), "usage_usec");
  const memory = readIfAny(join(folder, "memory.current"));
  if (cpu === undefined || memory === undefined) return undefined;
  const inactive = fieldOf(readIfAny(join(folder, "memory.stat")), "inactive_file") ?? 0;
  return {
    cpuUsageNanos: cpu * 1000,
    memoryBytes: Math.max(0, Number(memory) - inactive),
    memoryLimitBytes: tightest(cgroup, (path) => readIfAny(join(root, path, "memory.max"))),
  };
}

function usage1(root: string, cgroup: string): GroupUsage | undefined {
  const cpu = readIfAny(join(root, "cpuacct", cgroup, "cpuacct.usage"));
  const folder = join(root, "memory", cgroup);
  const memory = readIfAny(join(folder, "memory.usage_in_bytes"));
  if (cpu === undefined || memory === undefined) return undefined;
  const inactive = fieldOf(readIfAny(join(folder, "memory.stat")), "total_inactive_file") ?? 0;
  return {
    cpuUsageNanos: Number(cpu),
    memoryBytes: Math.max(0, Number(memory) - inactive),
    memoryLimitBytes: tightest(cgroup, (path) => readIfAny(join(root, "memory", path, "memory.limit_in_bytes"))),
  };
}

function tightest(cgroup: string, limitOf: (path: string) => string | undefined): number | undefined {
  const parts = cgroup.split("/").filter(Boolean);
  // "max" on v2, a number near 2^63 on v1: no limit.
  const limits = parts.map((_, index) => Number(limitOf(parts.slice(0, index + 1).join("/")))).filter((limit) => limit < 2 ** 60);
  return limits.length === 0 ? undefined : Math.min(...limits);
}

function fieldOf(text: string | undefined, name: string): number | undefined {
  const line = text?.split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

function readIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

function writeIfThere(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENODEV") throw error;
  }
}

function write(folder: string, file: string, value: string | number): void {
  writeFileSync(join(folder, file), String(value));
}

function assertGroupPath(path: string): void {
  if (!/^(\/[A-Za-z0-9_.-]+)+$/.test(path) || path.split("/").includes("..")) {
    throw new Problem("invalid", `cgroup path ${JSON.stringify(path)} must be absolute, of letters, digits, ".", "_" and "-"`);
  }
}
