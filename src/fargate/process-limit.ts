import { readFileSync } from "node:fs";

/** The kernel's `pid_max` in a micro VM of Fargate: no task there has more. */
const MOST = 32_768;
/** What a kernel allows by itself (`threads-max`): a thread for each 128 KiB of memory. */
const PER_MIB = 8;
/** As many tasks of the largest size have to run wild before the host has no process left. */
const SHARES = 8;

/**
 * How many processes and threads a task may have: what the kernel of a machine of its memory would allow, as on Fargate, but no more than
 * an eighth of what the host has. Whoever forks beyond gets EAGAIN ("Resource temporarily unavailable").
 */
export function processLimit(memoryMiB: number, hostProcesses: number): number {
  return Math.max(1, Math.min(MOST, memoryMiB * PER_MIB, Math.floor(hostProcesses / SHARES)));
}

/** How many processes and threads this host can have at once. */
export function hostProcesses(): number {
  const read = (name: string): number => Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8"));
  return Math.min(read("pid_max"), read("threads-max"));
}
