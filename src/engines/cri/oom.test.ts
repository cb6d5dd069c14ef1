import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { OomVerdicts } from "./oom.ts";

let base: string;
const folder = (): string => join(base, "oom");
const root = (): string => join(base, "cgroup");

/** The kernel's count of a container's cgroup, on cgroup v2. */
function count(kills: number): void {
  mkdirSync(join(root(), "task/c1"), { recursive: true });
  writeFileSync(join(root(), "cgroup.controllers"), "memory\n");
  writeFileSync(join(root(), "task/c1/memory.events"), `oom 0\noom_kill ${kills}\n`);
}

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "tidegate-oom-"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test("a verdict outlives this process; one whose writing was cut off is none", () => {
  count(1);
  const before = new OomVerdicts(folder(), root());
  before.atExit("c1", "/task/c1");
  writeFileSync(join(folder(), "c2"), "");
  const after = new OomVerdicts(folder(), root());
  expect([after.of("c1"), after.of("c2")]).toEqual([true, undefined]);
});

test("a notice of a sibling's kill is no verdict, and the exit tells", () => {
  count(0);
  const verdicts = new OomVerdicts(folder(), root());
  verdicts.atNotice("c1", "/task/c1");
  expect(verdicts.of("c1")).toBeUndefined();
  verdicts.atExit("c1", "/task/c1");
  expect(verdicts.of("c1")).toBe(false);
});

test("one that cannot be written, as where the run folder is full, is known all the same", () => {
  count(1);
  const verdicts = new OomVerdicts(folder(), root());
  rmSync(folder(), { recursive: true });
  verdicts.atNotice("c1", "/task/c1");
  expect(verdicts.of("c1")).toBe(true);
});
