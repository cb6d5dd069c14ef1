import { expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { CommitWatch } from "./commit-watch.ts";

it("says that the disk is slow when several commits were, for as long as that is a minute ago", async () => {
  const clock = new FakeClock();
  const watch = new CommitWatch(clock);
  expect(watch.check()).toMatchObject({ name: "database", ok: true });
  for (const seconds of [0.001, 2.5, 0.9]) watch.observe(seconds);
  expect(watch.check().ok).toBe(true);
  await clock.advance(30_000);
  watch.observe(1.2);
  expect(watch.check()).toEqual({
    name: "database",
    ok: false,
    detail: "the disk is slow: 3 of 4 commits in the last minute took longer than 0.5 s (the longest 2.5 s), and every request waits meanwhile",
  });
  await clock.advance(30_001);
  expect(watch.check().ok).toBe(true);
});

it("says nothing of a few slow commits among many quick ones", () => {
  const watch = new CommitWatch(new FakeClock());
  for (let count = 0; count < 3; count++) for (const seconds of [0.7, 0.001, 0.001]) watch.observe(seconds);
  expect(watch.check().ok).toBe(true);
});
