import { uptime } from "node:os";
import type { Clock } from "../../core/clock.ts";

const TICKS_PER_SECOND = 100;

/** When a process was started, in ms of the wall clock as it is now; `startTicks` are those of /proc, since the boot. */
export function startedAtMs(startTicks: string, clock: Clock): number {
  return clock.nowMs() - (uptime() * 1000 - (Number(startTicks) / TICKS_PER_SECOND) * 1000);
}
