import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../core/clock.ts";
import {
  countsProcesses,
  endGroup,
  hierarchies,
  isCgroup2,
  oomKillCount,
  processesOf,
  refusedForks,
  removeGroup,
  setGroupLimits,
  usageOf,
} from "./cgroup.ts";

/** Both layouts, as files: whichever the host has, the other is tried too. */

const MIB = 2 ** 20;
const GROUP = "/tidegate-abc123/task";
const LIMITS = { memoryBytes: 512 * MIB, cpuUnits: 256, processes: 4096 };

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tidegate-cgroup-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}
const read = (path: string): string => readFileSync(join(root, path), "utf8");

describe("v2, the unified hierarchy", () => {
  beforeEach(() => {
    put("cgroup.controllers", "cpuset cpu io memory pids\n");
    for (const folder of ["", "tidegate-abc123/", "tidegate-abc123/task/"]) put(`${folder}cgroup.subtree_control`, "cpu\n");
    put("tidegate-abc123/task/memory.swap.max", "max\n");
    put("tidegate-abc123/task/pids.max", "max\n");
  });

  test("limits are the task's group's own, and inner nodes hand controllers down", () => {
    setGroupLimits(GROUP, LIMITS, root);
    expect(read("tidegate-abc123/task/memory.max")).toBe(String(512 * MIB));
    expect(read("tidegate-abc123/task/memory.swap.max")).toBe("0");
    expect(read("tidegate-abc123/task/cpu.max")).toBe("25000 100000");
    expect(read("tidegate-abc123/task/pids.max")).toBe("4096");
    // The kernel would add to it; a file keeps the last one written.
    expect(read("cgroup.subtree_control")).toBe("+cpuset");
    expect(read("tidegate-abc123/cgroup.subtree_control")).toBe("+cpuset");
    expect(read("tidegate-abc123/task/cgroup.subtree_control")).toBe("cpu\n");
  });

  test("without swap or a pids controller the rest is set all the same", () => {
    put("cgroup.controllers", "cpu memory\n");
    for (const file of ["memory.swap.max", "pids.max"]) rmSync(join(root, "tidegate-abc123/task", file));
    expect(countsProcesses(root)).toBe(false);
    setGroupLimits(GROUP, LIMITS, root);
    expect(read("tidegate-abc123/task/memory.max")).toBe(String(512 * MIB));
    expect(() => read("tidegate-abc123/task/pids.max")).toThrow(/ENOENT/);
  });

  test("usage, kills and refused forks are read", () => {
    put("tidegate-abc123/task/c1/cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
    put("tidegate-abc123/task/c1/memory.current", `${100 * MIB}\n`);
    put("tidegate-abc123/task/c1/memory.stat", `anon 1\ninactive_file ${40 * MIB}\n`);
    put("tidegate-abc123/task/c1/memory.max", "max\n");
    put("tidegate-abc123/task/memory.max", `${512 * MIB}\n`);
    put("tidegate-abc123/task/c1/memory.events", "low 0\noom 2\noom_kill 1\n");
    put("tidegate-abc123/task/pids.events", "max 7\n");
    put("tidegate-abc123/task/c1/pids.events", "max 7\n");
    expect(usageOf(`${GROUP}/c1`, root)).toEqual({ cpuUsageNanos: 1_500_000, memoryBytes: 60 * MIB, memoryLimitBytes: 512 * MIB });
    expect(oomKillCount(`${GROUP}/c1`, root)).toBe(1);
    expect(refusedForks(GROUP, root)).toBe(7);
    expect(hierarchies(root)).toEqual([root]);
  });
});

describe("v1, a hierarchy for each controller, hybrid or not", () => {
  beforeEach(() => {
    for (const controller of ["memory", "cpu", "cpuacct", "pids", "unified"]) mkdirSync(join(root, controller));
  });

  test("limits are in each controller's own hierarchy, memory and swap together", () => {
    put("memory/tidegate-abc123/task/memory.memsw.limit_in_bytes", "9223372036854771712\n");
    put("memory/tidegate-abc123/task/memory.swappiness", "60\n");
    put("memory/tidegate-abc123/memory.use_hierarchy", "0\n");
    setGroupLimits(GROUP, LIMITS, root);
    expect(read("memory/tidegate-abc123/task/memory.limit_in_bytes")).toBe(String(512 * MIB));
    expect(read("memory/tidegate-abc123/task/memory.memsw.limit_in_bytes")).toBe(String(512 * MIB));
    expect(read("memory/tidegate-abc123/task/memory.swappiness")).toBe("0");
    expect(read("memory/tidegate-abc123/memory.use_hierarchy")).toBe("1");
    expect(read("cpu/tidegate-abc123/task/cpu.cfs_quota_us")).toBe("25000");
    expect(read("cpu/tidegate-abc123/task/cpu.cfs_period_us")).toBe("100000");
    expect(read("pids/tidegate-abc123/task/pids.max")).toBe("4096");
  });

  test("without swap accounting or a pids controller the rest is set all the same", () => {
    rmSync(join(root, "pids"), { recursive: true });
    expect(countsProcesses(root)).toBe(false);
    setGroupLimits(GROUP, LIMITS, root);
    expect(read("memory/tidegate-abc123/task/memory.limit_in_bytes")).toBe(String(512 * MIB));
    expect(() => read("memory/tidegate-abc123/task/memory.memsw.limit_in_bytes")).toThrow(/ENOENT/);
  });

  test("usage, kills and refused forks are read, the latter where the processes live", () => {
    put("cpuacct/tidegate-abc123/task/c1/cpuacct.usage", "1500000\n");
    put("memory/tidegate-abc123/task/c1/memory.usage_in_bytes", `${100 * MIB}\n`);
    put("memory/tidegate-abc123/task/c1/memory.stat", `total_inactive_file ${40 * MIB}\n`);
    put("memory/tidegate-abc123/task/c1/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/tidegate-abc123/task/memory.limit_in_bytes", `${512 * MIB}\n`);
    put("memory/tidegate-abc123/task/c1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    put("pids/tidegate-abc123/task/pids.events", "max 0\n");
    put("pids/tidegate-abc123/task/c1/pids.events", "max 4\n");
    put("pids/tidegate-abc123/task/c2/pids.events", "max 1\n");
    expect(usageOf(`${GROUP}/c1`, root)).toEqual({ cpuUsageNanos: 1_500_000, memoryBytes: 60 * MIB, memoryLimitBytes: 512 * MIB });
    expect(oomKillCount(`${GROUP}/c1`, root)).toBe(3);
    expect(refusedForks(GROUP, root)).toBe(5);
  });

  test("a group goes from every hierarchy, and again", () => {
    for (const controller of ["memory", "cpu", "pids"]) mkdirSync(join(root, controller, GROUP, "c1"), { recursive: true });
    removeGroup(GROUP, root);
    removeGroup(GROUP, root);
    for (const controller of ["memory", "cpu", "pids"]) expect(() => readFileSync(join(root, controller, GROUP))).toThrow(/ENOENT/);
  });
});

/** The kernel's own rules, on whichever unified hierarchy there is: the host's, or the one beside v1's. */
describe("a group of the kernel's own on cgroup v2", () => {
  const unified = isCgroup2() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
  const group = `/tidegate-test-${process.pid}`;
  afterEach(() => endGroup(group, systemClock, unified));

  async function inhabited(path: string): Promise<ChildProcess> {
    mkdirSync(join(unified, path), { recursive: true });
    // Which forks anew as long as it lives.
    const child = spawn("sh", ["-c", `echo 0 > ${join(unified, path)}/cgroup.procs && echo in && while :; do sleep 60 & sleep 0.05; done`]);
    await once(child.stdout, "data");
    return child;
  }

  test("with processes in it, or beneath it, is not removed; ended, it goes with all that forks in it", async () => {
    const child = await inhabited(`${group}/sandbox/container`);
    const ended = once(child, "exit");
    expect(() => removeGroup(group, unified)).toThrow(/sandbox\/container still holds processes/);
    expect(processesOf(group, unified)).toContain(child.pid);
    await endGroup(group, systemClock, unified);
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(existsSync(join(unified, group))).toBe(false);
  });

  test("that does not hand a controller down is told in words", async () => {
    await inhabited(group);
    // Either the controller is another hierarchy's here, or processes live at the inner node.
    if (!isCgroup2())
      expect(() => setGroupLimits(`${group}/task`, LIMITS, unified)).toThrow(/does not hand the cpu controller down: the kernel does not/);
    else expect(() => setGroupLimits(`${group}/task`, LIMITS, unified)).toThrow(/does not hand the cpu controller down: processes live/);
  });
});

test("of a group that is gone nothing is known", () => {
  for (const layout of ["cgroup.controllers", "memory/tasks"]) {
    put(layout, "memory pids\n");
    expect(usageOf(GROUP, root)).toBeUndefined();
    expect(oomKillCount(GROUP, root)).toBeUndefined();
    expect(refusedForks(GROUP, root)).toBe(0);
  }
});

test("paths that lead elsewhere are refused", () => {
  for (const path of ["relative", "/a/../b", "/a b", ""]) expect(() => setGroupLimits(path, LIMITS, root)).toThrow(/must be absolute/);
});
