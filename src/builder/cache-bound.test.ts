import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { BuilderCache, isCacheDue } from "./cache-bound.ts";

const GIB = 1024 ** 3;
const DAY_MS = 24 * 60 * 60_000;

test.each<[string, number, number, number, boolean]>([
  ["nothing", 0, 0, 500, false],
  ["as much as may be", 10, 0, 500, false],
  ["more than 10 GiB", 10.1, 0, 500, true],
  ["more than a tenth of its disk", 2.1, 0, 20, true],
  ["little, unused for a week", 0.1, 7, 500, false],
  ["little, unused for more than a week", 0.1, 7.1, 500, true],
])("a cache of %s", (_what, size, days, total, due) => {
  expect(isCacheDue({ sizeBytes: size * GIB, idleMs: days * DAY_MS }, { totalBytes: total * GIB })).toBe(due);
});

describe("a cache on disk", () => {
  const clock = new FakeClock();
  let folder: string;
  const build = async (atMs: number): Promise<void> => {
    await mkdir(join(folder, "build-done"), { recursive: true });
    await writeFile(join(folder, "build-done", "layer"), Buffer.alloc(300_000, 1));
    await utimes(join(folder, "build-done"), 0, 0);
    await utimes(folder, atMs / 1000, atMs / 1000);
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tidegate-cache-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test("is emptied when it has outgrown its bound", async () => {
    await build(clock.nowMs());
    const cache = new BuilderCache(folder, clock);
    expect(await cache.trim({ totalBytes: 10_000_000 })).toBe(false);
    expect(await readdir(folder)).toEqual(["build-done"]);
    await build(clock.nowMs() + 1_000);
    expect(await cache.trim({ totalBytes: 1_000_000 })).toBe(true);
    expect(await readdir(folder)).toEqual([]);
  });

  test("is emptied once when nobody built for a week", async () => {
    await build(clock.nowMs() - 8 * DAY_MS);
    const cache = new BuilderCache(folder, clock);
    expect(await cache.trim({ totalBytes: 100 * GIB })).toBe(true);
    await utimes(folder, 0, 0);
    await cache.trim({ totalBytes: 100 * GIB });
    expect(await readdir(folder)).toEqual([]);
  });

  test("is left alone while a build runs, and where there is none", async () => {
    await mkdir(join(folder, "build-now"));
    await writeFile(join(folder, "build-now", "layer"), Buffer.alloc(300_000, 1));
    await utimes(join(folder, "build-now"), clock.nowMs() / 1000, clock.nowMs() / 1000);
    expect(await new BuilderCache(folder, clock).trim({ totalBytes: 1_000 })).toBe(false);
    expect(await readdir(folder)).toEqual(["build-now"]);
    expect(await new BuilderCache(join(folder, "none"), clock).trim({ totalBytes: 1_000 })).toBe(false);
  });
});
