import { readdir, readFile } from "node:fs/promises";
import type { TestInstance } from "../../support/instance.ts";

/** A process of a control plane. */
export interface Program {
  readonly pid: string;
  readonly command: string;
  readonly residentKiB: number;
}

/** The control planes' processes: those in the instance's cgroups that are upstream's programs. */
export async function programsOf({ instanceId }: Pick<TestInstance, "instanceId">): Promise<readonly Program[]> {
  const found: Program[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [command, cgroup, status] = await Promise.all([read("cmdline"), read("cgroup"), read("status")]);
    const isProgram = /^(etcd|kube-apiserver|kube-controller-manager|kube-scheduler)\0/.test(command);
    if (!isProgram || !cgroup.includes(instanceId)) continue;
    found.push({ pid, command: command.replaceAll("\0", " "), residentKiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) });
  }
  return found;
}
