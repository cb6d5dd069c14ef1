import { describe, expect, it } from "vitest";
import { FakeClock } from "./clock.ts";
import { PresentTimes } from "./present-times.ts";

const HOUR_MS = 3_600_000;

describe("times in present terms", () => {
  it("leaves a time as it is while nobody sets the clock", async () => {
    const clock = new FakeClock();
    const times = new PresentTimes(clock);
    const atMs = clock.nowMs() - 5_000;
    expect(times.past(atMs)).toBe(atMs);
    await clock.advance(60_000);
    expect(times.past(atMs)).toBe(atMs);
  });

  for (const jumpMs of [HOUR_MS, -HOUR_MS]) {
    it(`keeps how long ago, and how long until, when the clock is set by ${jumpMs / HOUR_MS} h`, async () => {
      const clock = new FakeClock();
      const times = new PresentTimes(clock);
      const [startedAtMs, untilMs] = [clock.nowMs() - 5_000, clock.nowMs() + 30_000];
      times.past(startedAtMs);
      times.of(untilMs);
      await clock.advance(1_000);
      clock.jump(jumpMs);
      await clock.advance(2_000);
      expect(clock.nowMs() - times.past(startedAtMs)).toBe(8_000);
      expect(times.of(untilMs) - clock.nowMs()).toBe(27_000);
    });
  }

  it("takes a start that is written as yet to come for now, and counts on from there", async () => {
    const clock = new FakeClock();
    const times = new PresentTimes(clock);
    const startedAtMs = clock.nowMs() + HOUR_MS;
    expect(clock.nowMs() - times.past(startedAtMs)).toBe(0);
    await clock.advance(4_000);
    expect(clock.nowMs() - times.past(startedAtMs)).toBe(4_000);
  });
});
