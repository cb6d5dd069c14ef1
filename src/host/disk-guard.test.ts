import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { DiskGuard, inWords, type DiskSpace } from "./disk-guard.ts";

const MIB = 1024 * 1024;

/** A guard over a disk whose free space the test sets. */
class ScriptedGuard extends DiskGuard {
  freeBytes = 500 * MIB;
  override space(): Promise<DiskSpace> {
    return Promise.resolve({ freeBytes: this.freeBytes, totalBytes: 1000 * MIB });
  }
}

function guardOver(clock: FakeClock): ScriptedGuard {
  return new ScriptedGuard({ folder: "/data", clock, reserveBytes: 100 * MIB });
}

it("reads a real disk", async () => {
  const guard = new DiskGuard({ folder: tmpdir(), clock: new FakeClock() });
  const space = await guard.space();
  expect(space.totalBytes).toBeGreaterThan(space.freeBytes);
  expect(guard.reserveOf({ totalBytes: 100 * MIB })).toBe(64 * MIB);
  expect(guard.reserveOf({ totalBytes: 1e13 })).toBe(1024 * MIB);
});

it("lets work begin where the reserve stays, and asks for relief, once for all, before it refuses", async () => {
  const guard = guardOver(new FakeClock());
  await guard.ensureRoom("the push", 400 * MIB);
  let reliefs = 0;
  guard.onPressure(async () => {
    reliefs++;
    await Promise.resolve();
    guard.freeBytes = 450 * MIB;
  });
  guard.freeBytes = 10 * MIB;
  await Promise.all([guard.ensureRoom("one"), guard.ensureRoom("two")]);
  expect(reliefs).toBe(1);
  guard.onPressure(async () => {});
  guard.freeBytes = 10 * MIB;
  await expect(guard.ensureRoom("the push was refused")).rejects.toMatchObject({
    kind: "exhausted",
    message: expect.stringMatching(/^the push was refused: the disk that holds \/data has 10.0 MiB of 1000 MiB free, and 100 MiB are kept back\. /),
  });
});

it("breaks off work while the disk runs full, and looks at it only as long as there is work", async () => {
  const clock = new FakeClock();
  const guard = guardOver(clock);
  const forever = (signal: AbortSignal): Promise<void> =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  const broken = guard.during("the pull was stopped", forever).catch((error: unknown) => error);
  await clock.advance(300);
  guard.freeBytes = 60 * MIB;
  await clock.advance(300);
  expect(clock.pendingDelaysMs()).toHaveLength(1);
  guard.freeBytes = 40 * MIB;
  await clock.advance(300);
  expect(await broken).toMatchObject({ kind: "exhausted", message: expect.stringContaining("the pull was stopped") });
  expect(clock.pendingDelaysMs()).toEqual([]);
});

it("says sizes as people do", () => {
  expect([0, 1023, 1536, 300 * MIB, 2 ** 41].map(inWords)).toEqual(["0 B", "1023 B", "1.5 KiB", "300 MiB", "2.0 TiB"]);
});
