import { statSync } from "node:fs";
import { uptime } from "node:os";
import type { Clock } from "../../core/clock.ts";

const TICKS_PER_SECOND = 100;

/** A containerd that runs. */
export interface RunningSince {
  /** When it was started, as /proc has it: since the boot. */
  readonly startTicks: string;
  /** Its socket, which it made as it started. */
  readonly socket: string;
}

/**
 * What is older than this on the wall clock was made before containerd was started. The clock may have been set since: then this is the
 * earlier one of the time that its socket carries and of its age before now, so that nothing that it made itself counts as older than it.
 */
export function beganBefore({ startTicks, socket }: RunningSince, clock: Pick<Clock, "nowMs">): number {
  const byAgeMs = clock.nowMs() - (uptime() * 1000 - (Number(startTicks) / TICKS_PER_SECOND) * 1000);
  return Math.min(byAgeMs, statSync(socket, { throwIfNoEntry: false })?.mtimeMs ?? byAgeMs);
}
