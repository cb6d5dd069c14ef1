import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { run } from "../../host/run.ts";
import { overlayWorks, removeOverlayTrial } from "./overlay-trial.ts";

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "tidegate-overlay-"));
});

afterEach(async () => {
  await removeOverlayTrial(dataDir);
  await rm(dataDir, { recursive: true, force: true });
});

/** As a start leaves it that was killed between its mount and its umount. */
async function killedTrial(): Promise<void> {
  const merged = join(dataDir, "overlay-test/merged");
  await mkdir(merged, { recursive: true });
  await run(["mount", "-t", "tmpfs", "none", merged]);
}

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(dataDir)).toEqual([]);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(dataDir);
}

it("takes away what a killed trial left, mounted or not, and minds nothing when there is nothing", async () => {
  await killedTrial();
  await removeOverlayTrial(dataDir);
  await expectNothingLeft();
  await mkdir(join(dataDir, "overlay-test/upper"), { recursive: true });
  await removeOverlayTrial(dataDir);
  await expectNothingLeft();
  await removeOverlayTrial(dataDir);
});

it("leaves nothing of its own trial, nor of a killed one before it", async () => {
  const alone = await overlayWorks(dataDir);
  await expectNothingLeft();
  await killedTrial();
  expect(await overlayWorks(dataDir)).toBe(alone);
  await expectNothingLeft();
});
