import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import type { Clock } from "../core/clock.ts";

const ROOT = "/sys/fs/cgroup";
/** Hierarchies of cgroup v1 by which an init system or a limit could take the daemon down with Tidegate. */
const V1_HIERARCHIES = ["pids", "memory", "systemd", "unified"];

/**
 * The folders above the daemons' own, outside Tidegate's unit or login scope: one on cgroup v2, one for each hierarchy on v1. Beside the
 * tasks' tree, not in it: that is ended and removed whole while daemons still run.
 */
function parentsOf(instanceId: string): readonly string[] {
  const roots = existsSync(`${ROOT}/cgroup.controllers`) ? [ROOT] : V1_HIERARCHIES.map((name) => `${ROOT}/${name}`);
  return roots.filter((root) => existsSync(`${root}/cgroup.procs`)).map((root) => `${root}/tidegate-${instanceId}-daemons`);
}

/** Makes the daemon's cgroups; answers the `cgroup.procs` files it should enter. Hierarchies that refuse are left out. */
export function makeDaemonCgroup(instanceId: string, daemon: string): readonly string[] {
  return parentsOf(instanceId).flatMap((parent) => {
    const folder = `${parent}/${daemon}`;
    try {
      mkdirSync(folder, { recursive: true });
      return [`${folder}/cgroup.procs`];
    } catch {
      return [];
    }
  });
}

/** How long the kernel may take to see a process out that has ended. */
const LEAVING_MS = 1000;
const LOOK_AGAIN_MS = 20;

/** Removes the daemon's cgroups, and their parents when they were the last; what still holds a process stays. */
export async function removeDaemonCgroup(instanceId: string, daemon: string, clock: Clock): Promise<void> {
  for (const parent of parentsOf(instanceId)) if (await removeOnceEmpty(`${parent}/${daemon}`, clock)) removeIfEmpty(parent);
}

/** Removes all cgroups of the instance's daemons that hold no process, those that outlived their daemon among them. */
export async function removeEmptyDaemonCgroups(instanceId: string, clock: Clock): Promise<void> {
  for (const parent of parentsOf(instanceId)) {
    if (!existsSync(parent)) continue;
    const folders = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of folders) await removeOnceEmpty(`${parent}/${name}`, clock);
    removeIfEmpty(parent);
  }
}

async function removeOnceEmpty(folder: string, clock: Clock): Promise<boolean> {
  const untilMs = clock.steadyMs() + LEAVING_MS;
  while (!removeIfEmpty(folder)) {
    if (clock.steadyMs() > untilMs) return false;
    await clock.sleep(LOOK_AGAIN_MS);
  }
  return true;
}

function removeIfEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
