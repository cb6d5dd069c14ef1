import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { silentLogger } from "../core/logger.ts";
import { OwnLog } from "./own-log.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "tidegate-own-log-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("cuts what this process appends to in its data folder, and goes on at the new end", async () => {
  const path = join(folder, "tidegate.log");
  const descriptor = openSync(path, "a");
  const log = new OwnLog({ dataDir: folder, logger: silentLogger, descriptor, maxBytes: 1_000 });
  for (let line = 0; line < 30; line++) log.wrote(writeSync(descriptor, "x".repeat(99) + "\n"));
  await log.look();
  expect(statSync(path).size).toBeLessThan(1_000);
  expect(statSync(`${path}.1`).size).toBeGreaterThan(1_000);
  await log.look();
  writeSync(descriptor, "after\n");
  expect(readFileSync(path, "utf8")).toMatch(/^(x{99}\n)*after\n$/);
  closeSync(descriptor);
});

it("leaves alone a file elsewhere, and one that is not appended to", async () => {
  const path = join(folder, "mine.log");
  for (const [flags, dataDir] of [
    ["a", join(folder, "data")],
    ["w", folder],
  ] as const) {
    const descriptor = openSync(path, flags);
    writeSync(descriptor, "x".repeat(5_000));
    await new OwnLog({ dataDir, logger: silentLogger, descriptor, maxBytes: 1_000 }).look();
    expect(statSync(path).size).toBeGreaterThanOrEqual(5_000);
    closeSync(descriptor);
  }
});
