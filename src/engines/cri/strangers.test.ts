import { expect, it } from "vitest";
import { FakeClock } from "../../core/clock.ts";
import { CallsUnderWay } from "./calls-under-way.ts";
import { Strangers } from "./strangers.ts";

function world() {
  const clock = new FakeClock();
  const calls = new CallsUnderWay();
  const strangers = new Strangers(clock);
  return {
    clock,
    calls,
    strangers,
    look: (...unknown: readonly string[]) => [...strangers.judge(unknown, { oldest: calls.oldest, begun: calls.begun, quietMs: 1_000 })],
  };
}

it("is nobody's once it stayed unknown for a while, whatever is done to the wall clock", async () => {
  const { clock, strangers, look } = world();
  expect(look("shim")).toEqual([]);
  clock.jump(3_600_000);
  await clock.advance(999);
  expect(look("shim", "other")).toEqual([]);
  await clock.advance(1);
  expect(look("shim", "other")).toEqual(["shim"]);
  expect(strangers.size).toBe(1);
});

it("is somebody's while a call lasts that may be making it; calls that began later do not matter", async () => {
  const { clock, calls, look } = world();
  const making = Promise.withResolvers<void>();
  const call = calls.run(() => making.promise);
  look("shim");
  void calls.run(() => new Promise(() => {}));
  await clock.advance(60_000);
  expect(look("shim")).toEqual([]);
  making.resolve();
  await call;
  expect(look("shim")).toEqual(["shim"]);
});

it("begins anew with one that was gone, or known, in between", async () => {
  const { clock, look } = world();
  look("lease");
  await clock.advance(1_000);
  look();
  expect(look("lease")).toEqual([]);
  await clock.advance(1_000);
  expect(look("lease")).toEqual(["lease"]);
});
