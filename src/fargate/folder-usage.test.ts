import { link, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { folderUsage } from "./folder-usage.ts";

let parent = "";
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "tidegate-usage-"));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

test("blocks and files count, each once; holes do not", async () => {
  await mkdir(join(parent, "a/volumes/data"), { recursive: true });
  await mkdir(join(parent, "b"));
  await writeFile(join(parent, "a/volumes/data/one"), Buffer.alloc(1_000_000, 1));
  await link(join(parent, "a/volumes/data/one"), join(parent, "a/volumes/data/the same"));
  await writeFile(join(parent, "b/new\nline\t12"), "x");
  await truncate(join(parent, "b/new\nline\t12"), 10_000_000_000);
  const usage = await folderUsage(parent);
  expect([...usage.keys()].sort()).toEqual(["a", "b"]);
  expect(usage.get("a")?.bytes).toBeGreaterThan(999_999);
  expect(usage.get("a")?.bytes).toBeLessThan(1_100_000);
  expect(usage.get("a")?.inodes).toBe(4);
  expect(usage.get("b")?.bytes).toBeLessThan(100_000);
});

test("a parent that is not there holds nothing", async () => {
  expect(await folderUsage(join(parent, "none"))).toEqual(new Map());
});
