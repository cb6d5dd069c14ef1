import { mayLowerOomScore } from "../../host/oom-score.ts";
import { existsSync, readFileSync } from "node:fs";
import { Problem } from "../../core/problem.ts";

/** What Docker, and so Fargate, gives a container. */
const DEFAULT_CAPABILITIES = [
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
] as const;

/**
 * The exact set a container gets: the default less `drop`, plus `add`. Names are without `CAP_`; `ALL` in `drop` empties the default.
 * @throws Problem `unsupported` for `ALL` in `add`: nothing here runs privileged.
 */
export function effectiveCapabilities(add: readonly string[], drop: readonly string[]): readonly string[] {
  const dropped = new Set(drop.map(bareName));
  const added = add.map(bareName);
  if (added.includes("ALL")) throw new Problem("unsupported", "adding the capability ALL is not supported: Fargate runs no privileged containers");
  const base = dropped.has("ALL") ? [] : DEFAULT_CAPABILITIES.filter((name) => !dropped.has(name));
  return [...new Set([...base, ...added])];
}

function bareName(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, "");
}

/** Docker's: what of /proc and /sys a container does not see. */
export const MASKED_PATHS = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

/** Docker's: what of /proc a container cannot write. */
export const READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** True where containerd can confine with AppArmor; asking for it elsewhere is an error. The same checks as containerd's own. */
export function apparmorAvailable(): boolean {
  if (!existsSync("/sys/kernel/security/apparmor") || !existsSync("/sbin/apparmor_parser")) return false;
  try {
    return readFileSync("/sys/module/apparmor/parameters/enabled", "utf8").startsWith("Y");
  } catch {
    return false;
  }
}

/** True when this process may raise hard limits and lower oom scores: one capability allows both. */
export const hasSysResource = mayLowerOomScore;
