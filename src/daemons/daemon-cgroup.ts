import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";

const ROOT = "/sys/fs/cgroup";
/** Hierarchies of cgroup v1 by which an init system or a limit could take the daemon down with Tidegate. */
const V1_HIERARCHIES = ["pids", "memory", "systemd", "unified"];

/** The folders above the daemons' own, outside Tidegate's unit or login scope: one on cgroup v2, one for each hierarchy on v1. */
function parentsOf(instanceId: string): readonly string[] {
  if (existsSync(`${ROOT}/cgroup.controllers`)) return [`${ROOT}/tidegate-${instanceId}/daemons`];
  return V1_HIERARCHIES.filter((name) => existsSync(`${ROOT}/${name}/cgroup.procs`)).map((name) => `${ROOT}/${name}/tidegate-${instanceId}-daemons`);
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

/** Removes the daemon's cgroups, and their parents when they were the last; what still holds a process stays. */
export function removeDaemonCgroup(instanceId: string, daemon: string): void {
  for (const parent of parentsOf(instanceId)) if (removeIfEmpty(`${parent}/${daemon}`)) removeIfEmpty(parent);
}

/** Removes all cgroups of the instance's daemons that hold no process, those that outlived their daemon among them. */
export function removeEmptyDaemonCgroups(instanceId: string): void {
  for (const parent of parentsOf(instanceId)) {
    if (!existsSync(parent)) continue;
    for (const entry of readdirSync(parent, { withFileTypes: true })) if (entry.isDirectory()) removeIfEmpty(`${parent}/${entry.name}`);
    removeIfEmpty(parent);
  }
}

function removeIfEmpty(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
