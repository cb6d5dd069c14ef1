import { expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { WorkQueue } from "./work-queue.ts";

it("hands out each key once however often it is added, in order", async () => {
  const queue = new WorkQueue({ clock: new FakeClock() });
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(["a", "b", "c"]);
  expect(queue.state()).toMatchObject({ ready: 0, running: 3 });
});

it("brings a key back that was added while it was worked on, and never hands it out twice at once", async () => {
  const queue = new WorkQueue({ clock: new FakeClock() });
  queue.add("a");
  expect(await queue.take()).toBe("a");
  queue.add("a");
  queue.add("b");
  expect(await queue.take()).toBe("b");
  const third = queue.take();
  expect(queue.state()).toMatchObject({ ready: 0, running: 2 });
  queue.done("a");
  expect(await third).toBe("a");
});

it("adds after a delay, the earliest of several, and not at all once the key was taken", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  queue.addAfter("a", 5_000);
  queue.addAfter("a", 1_000);
  queue.addAfter("a", 3_000);
  expect(clock.pendingDelaysMs()).toEqual([1_000]);
  await clock.advance(999);
  expect(queue.state()).toMatchObject({ ready: 0, delayed: 1 });
  await clock.advance(1);
  expect(queue.state()).toMatchObject({ ready: 1, delayed: 0 });
  queue.addAfter("a", 9_000);
  expect(await queue.take()).toBe("a");
  expect(clock.pendingDelaysMs()).toEqual([]);
});

it("backs off per key from 100 ms to 30 s, and starts over when the failures are forgotten", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const delays: number[] = [];
  for (let failure = 0; failure < 11; failure++) {
    delays.push(queue.addAfterFailure("a"));
    await clock.advance(delays.at(-1) ?? 0);
    expect(await queue.take()).toBe("a");
    queue.done("a");
  }
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
  expect(queue.addAfterFailure("b")).toBe(100);
  queue.forget("a");
  expect(queue.addAfterFailure("a")).toBe(100);
});

it("ends every take when it is closed and leaves no timer", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const waiting = queue.take();
  queue.addAfter("a", 1_000);
  queue.close();
  queue.add("b");
  expect(await waiting).toBeUndefined();
  expect(await queue.take()).toBeUndefined();
  expect(clock.pendingDelaysMs()).toEqual([]);
});
