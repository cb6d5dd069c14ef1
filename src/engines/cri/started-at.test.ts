import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { systemClock } from "../../core/clock.ts";
import { startTimeOf } from "../../host/process.ts";
import { beganBefore } from "./started-at.ts";

const HOUR_MS = 3_600_000;

it.each([0, HOUR_MS, -HOUR_MS])(
  "what containerd made itself is never older than it, when the clock is set by %i ms after its start",
  async (jumpMs) => {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-began-"));
    try {
      const socket = join(folder, "containerd.sock");
      const startTicks = startTimeOf(process.pid) ?? "";
      const startedMs = systemClock.nowMs() - process.uptime() * 1000;
      await writeFile(socket, "");
      await utimes(socket, startedMs / 1000, startedMs / 1000);
      const beganMs = beganBefore({ startTicks, socket }, { nowMs: () => systemClock.nowMs() + jumpMs });
      const madeBeforeTheJump = startedMs + 50;
      const madeAfterIt = madeBeforeTheJump + jumpMs;
      expect(beganMs).toBeLessThan(Math.min(madeBeforeTheJump, madeAfterIt));
      // And what is older than it by more than the jump is told.
      expect(beganMs).toBeGreaterThan(startedMs - Math.abs(jumpMs) - 1_000);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
