import { expect, test } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { Problem, type ProblemKind } from "../core/problem.ts";
import { recordsOnlyKernel } from "./kernel.ts";
import { retryingKernel } from "./retrying-kernel.ts";

function failing(builds: number, kind: ProblemKind = "unavailable") {
  const clock = new FakeClock();
  const built: number[] = [];
  const inner = {
    ...recordsOnlyKernel,
    syncGroup: () => Promise.reject(new Problem("unavailable", "nft is busy")),
    async buildVpc() {
      built.push(clock.nowMs());
      if (built.length <= builds) throw new Problem(kind, "it cannot be built");
    },
  };
  return { clock, built, kernel: retryingKernel(inner, { clock, logger: silentLogger }) };
}

test("a failed change is told, and the VPC built again with back-off until it succeeds, then no more", async () => {
  const { clock, built, kernel } = failing(2);
  const startMs = clock.nowMs();
  await expect(kernel.syncGroup("vpc-1", "sg-1")).rejects.toThrow("nft is busy");
  await expect(kernel.syncGroup("vpc-1", "sg-2")).rejects.toThrow("nft is busy");
  await clock.advance(3_600_000);
  expect(built.map((atMs) => atMs - startMs)).toEqual([1000, 3000, 7000]);
  expect(clock.pendingDelaysMs()).toEqual([]);
});

test("nothing is tried after the VPC is removed, or the network closed", async () => {
  const { clock, built, kernel } = failing(9);
  await expect(kernel.syncGroup("vpc-1", "sg-1")).rejects.toThrow();
  await expect(kernel.syncGroup("vpc-2", "sg-1")).rejects.toThrow();
  await kernel.removeVpc("vpc-1");
  kernel[Symbol.dispose]();
  await clock.advance(3_600_000);
  expect(built).toEqual([]);
});

test("a VPC that goes while it is built again, or a network that is closed then, ends the tries", async () => {
  const deleted = failing(9, "not-found");
  await expect(deleted.kernel.syncGroup("vpc-1", "sg-1")).rejects.toThrow();
  await deleted.clock.advance(3_600_000);
  expect(deleted.built).toHaveLength(1);
  expect(deleted.clock.pendingDelaysMs()).toEqual([]);

  const closed = failing(9);
  await expect(closed.kernel.syncGroup("vpc-1", "sg-1")).rejects.toThrow();
  const inner = closed.clock.advance(1_000);
  closed.kernel[Symbol.dispose]();
  await inner;
  await expect(closed.kernel.syncGroup("vpc-1", "sg-1")).rejects.toThrow();
  expect(closed.clock.pendingDelaysMs()).toEqual([]);
});
