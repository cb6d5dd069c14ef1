import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { GroupLimits } from "../../contracts/container-runtime.ts";
import { Problem } from "../../core/problem.ts";

const ROOT = "/sys/fs/cgroup";
const CPU_PERIOD_MICROS = 100_000;

/** True on a host with the unified hierarchy (cgroup v2) alone; hybrid hosts count as v1. */
export function isCgroup2(): boolean {
  return existsSync(`${ROOT}/cgroup.controllers`);
}

/** CFS quota for a period of 100 ms; the kernel's smallest is 1 ms. */
export function cpuQuotaMicros(cpuUnits: number): number {
  return Math.max(1_000, Math.round((cpuUnits / 1024) * CPU_PERIOD_MICROS));
}

/** Sets the limits of a parent cgroup, on whichever version the host has. */
export function setGroupLimits(cgroupParent: string, limits: GroupLimits): void {
  assertGroupPath(cgroupParent);
  try {
    if (isCgroup2()) setLimits2(cgroupParent, limits);
    else setLimits1(cgroupParent, limits);
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw new Problem("unavailable", `cannot set the limits of cgroup ${cgroupParent}: ${(cause as Error).message}`, { cause });
  }
}

function setLimits2(cgroupParent: string, limits: GroupLimits): void {
  const folder = join(ROOT, cgroupParent);
  mkdirSync(folder, { recursive: true });
  delegateControllers(cgroupParent);
  if (limits.memoryBytes !== undefined) {
    write(folder, "memory.max", limits.memoryBytes);
    // Absent where the kernel has no swap.
    if (existsSync(join(folder, "memory.swap.max"))) write(folder, "memory.swap.max", 0);
  }
  if (limits.cpuUnits !== undefined) write(folder, "cpu.max", `${cpuQuotaMicros(limits.cpuUnits)} ${CPU_PERIOD_MICROS}`);
}

/** Every inner node on the way hands its controllers down; inner nodes of ours hold no process. */
function delegateControllers(cgroupParent: string): void {
  const parts = cgroupParent.split("/").filter(Boolean);
  for (let depth = 0; depth < parts.length; depth++) {
    const folder = join(ROOT, ...parts.slice(0, depth));
    const has = new Set(readFileSync(join(folder, "cgroup.subtree_control"), "utf8").trim().split(" "));
    for (const controller of ["cpu", "memory", "pids", "io", "cpuset"]) {
      if (has.has(controller)) continue;
      try {
        write(folder, "cgroup.subtree_control", `+${controller}`);
      } catch (cause) {
        if (controller === "cpu" || controller === "memory") throw cause;
      }
    }
  }
}

function setLimits1(cgroupParent: string, limits: GroupLimits): void {
  if (limits.memoryBytes !== undefined) {
    const folder = join(ROOT, "memory", cgroupParent);
    makeHierarchical(cgroupParent);
    setMemory1(folder, limits.memoryBytes);
  }
  if (limits.cpuUnits !== undefined) {
    const folder = join(ROOT, "cpu", cgroupParent);
    mkdirSync(folder, { recursive: true });
    write(folder, "cpu.cfs_period_us", CPU_PERIOD_MICROS);
    write(folder, "cpu.cfs_quota_us", cpuQuotaMicros(limits.cpuUnits));
  }
}

/** Children count against their parent only under `use_hierarchy`, which older kernels leave off and forbid to change later. */
function makeHierarchical(cgroupParent: string): void {
  let folder = join(ROOT, "memory");
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
}

/** Removes a group and its empty children. @throws Problem `conflict` while processes live in it. */
export function removeGroup(cgroupParent: string): void {
  assertGroupPath(cgroupParent);
  for (const root of hierarchies()) removeTree(join(root, cgroupParent));
}

/** Names of the groups right beneath one, in whichever hierarchy; none when it is not there. */
export function groupsIn(cgroupParent: string): readonly string[] {
  assertGroupPath(cgroupParent);
  const names = hierarchies().flatMap((root) => foldersIn(join(root, cgroupParent)));
  // Where cgroup v2 has the daemons.
  return [...new Set(names)].filter((name) => name !== "daemons");
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
export function hierarchies(): readonly string[] {
  if (isCgroup2()) return [ROOT];
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(ROOT, entry.name));
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

/** Every process in a group and beneath it. */
export function processesOf(cgroupParent: string): readonly number[] {
  const pids = new Set<number>();
  for (const root of hierarchies()) collectPids(join(root, cgroupParent), pids);
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
export function oomKillCount(cgroup: string): number | undefined {
  const file = isCgroup2() ? join(ROOT, cgroup, "memory.events") : join(ROOT, "memory", cgroup, "memory.oom_control");
  return fieldOf(readIfAny(file), "oom_kill");
}

export interface GroupUsage {
  readonly cpuUsageNanos: number;
  /** Without the page cache that the kernel would drop first. */
  readonly memoryBytes: number;
  /** The tightest limit that holds for the group, of itself or those above it; `undefined` when there is none. */
  readonly memoryLimitBytes: number | undefined;
}

/** What a cgroup uses; `undefined` when it is gone. */
export function usageOf(cgroup: string): GroupUsage | undefined {
  return isCgroup2() ? usage2(cgroup) : usage1(cgroup);
}

function usage2(cgroup: string): GroupUsage | undefined {
  const folder = join(ROOT, cgroup);
  const cpu = fieldOf(readIfAny(join(folder, "cpu.stat")), "usage_usec");
  const memory = readIfAny(join(folder, "memory.current"));
  if (cpu === undefined || memory === undefined) return undefined;
  const inactive = fieldOf(readIfAny(join(folder, "memory.stat")), "inactive_file") ?? 0;
  return {
    cpuUsageNanos: cpu * 1000,
    memoryBytes: Math.max(0, Number(memory) - inactive),
    memoryLimitBytes: tightest(cgroup, (path) => readIfAny(join(ROOT, path, "memory.max"))),
  };
}

function usage1(cgroup: string): GroupUsage | undefined {
  const cpu = readIfAny(join(ROOT, "cpuacct", cgroup, "cpuacct.usage"));
  const folder = join(ROOT, "memory", cgroup);
  const memory = readIfAny(join(folder, "memory.usage_in_bytes"));
  if (cpu === undefined || memory === undefined) return undefined;
  const inactive = fieldOf(readIfAny(join(folder, "memory.stat")), "total_inactive_file") ?? 0;
  return {
    cpuUsageNanos: Number(cpu),
    memoryBytes: Math.max(0, Number(memory) - inactive),
    memoryLimitBytes: tightest(cgroup, (path) => readIfAny(join(ROOT, "memory", path, "memory.limit_in_bytes"))),
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

function write(folder: string, file: string, value: string | number): void {
  writeFileSync(join(folder, file), String(value));
}

function assertGroupPath(path: string): void {
  if (!/^(\/[A-Za-z0-9_.-]+)+$/.test(path) || path.split("/").includes("..")) {
    throw new Problem("invalid", `cgroup path ${JSON.stringify(path)} must be absolute, of letters, digits, ".", "_" and "-"`);
  }
}
