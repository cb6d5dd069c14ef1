import { readFileSync } from "node:fs";

/** The kernel's id of this boot of the host: another one after each reboot, and on each other host. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
