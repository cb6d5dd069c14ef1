import type { Sandbox } from "../contracts/container-runtime.ts";
import type { NameValue } from "../contracts/workload.ts";
import { Problem } from "../core/problem.ts";
import { run } from "../host/run.ts";

export interface SandboxSettings {
  readonly hostname: string;
  readonly sysctls: readonly NameValue[];
}

/**
 * Sets in a sandbox's namespaces what a warm one could not know yet. Idempotent; to be called before its first container starts.
 * @throws Problem `invalid` for a sysctl that the kernel does not have there, or whose value it refuses.
 */
export interface SandboxTuner {
  tune(sandbox: Sandbox, settings: SandboxSettings): Promise<void>;
}

/** The script's own exit code, which neither nsenter nor the shell has. */
const REFUSED = 77;

/** Enters the namespaces of the pause process with nsenter. */
export function createNsenterTuner(): SandboxTuner {
  return {
    async tune(sandbox, { hostname, sysctls }) {
      if (sandbox.pid === undefined) throw new Problem("unavailable", `sandbox ${sandbox.name} has no process whose namespaces could be entered`);
      const namespaces = `/proc/${sandbox.pid}/ns`;
      await run(["nsenter", `--uts=${namespaces}/uts`, "hostname", hostname]);
      if (sysctls.length === 0) return;
      const pairs = sysctls.flatMap(({ name, value }) => [sysctlPath(name), value]);
      const script = `while [ $# -gt 1 ]; do printf %s "$2" > "$1" || { printf %s "$1"; exit ${REFUSED}; }; shift 2; done`;
      const enter = ["nsenter", `--net=${namespaces}/net`, `--ipc=${namespaces}/ipc`, "sh", "-c", script, "sysctl", ...pairs];
      const { code, stdout, stderr } = await run(enter, { okCodes: [0, REFUSED] });
      if (code === 0) return;
      const refused = sysctls.find(({ name }) => sysctlPath(name) === stdout);
      throw new Problem("invalid", `system control ${refused?.name} cannot be ${refused?.value} on this host: ${stderr.trim()}`);
    },
  };
}

/** Tunes nothing, for sandboxes without namespaces. */
export function createInertTuner(): SandboxTuner {
  return { tune: async () => {} };
}

const NAMESPACED = /^(net\.[\w.:/-]+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.\w+)$/;

/** Whether a sysctl belongs to a sandbox's own namespaces, and so may be set for a workload. */
export function isSandboxSysctl(name: string): boolean {
  return NAMESPACED.test(name) && !name.includes("..") && !name.includes("//");
}

/** Dots separate, unless the name is written with slashes already (`net/ipv4/conf/eth0.1/…`). */
function sysctlPath(name: string): string {
  return `/proc/sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`;
}
