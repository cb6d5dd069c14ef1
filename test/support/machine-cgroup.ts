/** The part of this machine's cgroups that a test's machine has for itself, on cgroup v1 and v2. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./instance.ts";

const ROOT = "/sys/fs/cgroup";

export interface MachineCgroup {
  readonly name: string;
  /** Lines of a shell script that take the shell into it: where its namespace is to begin, and where processes live afterwards. */
  readonly enterTop: string;
  readonly enter: string;
  make(): void;
  /** Kills every process in it; answers when there is none. */
  killAll(): Promise<void>;
  remove(): Promise<void>;
}

/** Nothing is made yet. */
export function machineCgroup(name: string): MachineCgroup {
  const isUnified = existsSync(`${ROOT}/cgroup.controllers`);
  const hierarchies = isUnified
    ? [ROOT]
    : readdirSync(ROOT, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(ROOT, entry.name));
  const tops = hierarchies.map((hierarchy) => join(hierarchy, name));
  // On v2 an inner node that hands controllers down may hold no process.
  const leaves = isUnified ? tops.map((top) => join(top, "init")) : tops;
  const entering = (folders: readonly string[]): string => folders.map((folder) => `echo 0 >'${folder}/cgroup.procs' || exit 1\n`).join("");
  return {
    name,
    enterTop: entering(tops),
    enter: entering(leaves),
    make() {
      for (const folder of [...tops, ...leaves]) mkdirSync(folder, { recursive: true });
      for (const top of tops) if (!isUnified) inheritCpuset(top);
    },
    async killAll() {
      await until(`no process is in cgroup ${name}`, async () => {
        const pids = new Set(tops.flatMap(processesUnder));
        for (const pid of pids) kill(pid);
        return pids.size === 0;
      });
    },
    async remove() {
      await until(`cgroup ${name} is removed`, async () => {
        for (const top of tops) removeTree(top);
        return true;
      });
    },
  };
}

/** On v1 a new cpuset is empty, and nobody may enter it. */
function inheritCpuset(top: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const own = join(top, file);
    if (existsSync(own) && readFileSync(own, "utf8").trim() === "") {
      writeFileSync(own, readFileSync(join(top, "..", file)));
    }
  }
}

function foldersIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(folder, entry.name));
}

function processesUnder(folder: string): readonly number[] {
  if (!existsSync(folder)) return [];
  const own = readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number);
  return [...own, ...foldersIn(folder).flatMap(processesUnder)];
}

function removeTree(folder: string): void {
  for (const child of foldersIn(folder)) removeTree(child);
  if (existsSync(folder)) rmdirSync(folder);
}

function kill(pid: number): void {
  // Zero is a process that this namespace does not see.
  if (pid === 0) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
