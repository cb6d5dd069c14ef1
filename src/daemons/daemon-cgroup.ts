import { existsSync, mkdirSync, rmdirSync } from "node:fs";

const ROOT = "/sys/fs/cgroup";
/** Hierarchies of cgroup v1 by which an init system or a limit could take the daemon down with Tidegate. */
const V1_HIERARCHIES = ["pids", "memory", "systemd", "unified"];

/** The daemon's own cgroup folders, outside Tidegate's unit or login scope: one on cgroup v2, one for each hierarchy on v1. */
function foldersOf(instanceId: string, daemon: string): readonly string[] {
  if (existsSync(`${ROOT}/cgroup.controllers`)) return [`${ROOT}/tidegate-${instanceId}/daemons/${daemon}`];
  return V1_HIERARCHIES.filter((name) => existsSync(`${ROOT}/${name}/cgroup.procs`)).map(
    (name) => `${ROOT}/${name}/tidegate-${instanceId}-daemons/${daemon}`,
  );
}

/** Makes the daemon's cgroups; answers the `cgroup.procs` files it should enter. Hierarchies that refuse are left out. */
export function makeDaemonCgroup(instanceId: string, daemon: string): readonly string[] {
  return foldersOf(instanceId, daemon).flatMap((folder) => {
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
  for (const folder of foldersOf(instanceId, daemon)) {
    const parent = folder.slice(0, folder.lastIndexOf("/"));
    for (const path of [folder, parent]) {
      try {
        rmdirSync(path);
      } catch {
        break;
      }
    }
  }
}
