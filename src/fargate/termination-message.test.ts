import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lastLines, prepareMessage, readMessage } from "./termination-message.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tg-message-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("reads what a container left, no more than its share; else the end of its log", async () => {
  const path = join(folder, "a", "0");
  await prepareMessage(path);
  expect((await stat(path)).mode & 0o777).toBe(0o666);
  const logPath = join(folder, "log");
  await writeFile(logPath, "2026-01-01T00:00:00Z stdout F first\n2026-01-01T00:00:00Z stderr P sec\n2026-01-01T00:00:00Z stderr F ond\n");
  expect(await readMessage({ path, containers: 1 })).toBe("");
  expect(await readMessage({ path, logPath, containers: 1 })).toBe("first\nsecond\n");
  await writeFile(path, "x".repeat(5000));
  expect(await readMessage({ path, logPath, containers: 1 })).toHaveLength(4096);
  expect(await readMessage({ path, containers: 6 })).toHaveLength(2048);
  expect(await readMessage({ path: join(folder, "none"), containers: 1 })).toBe("");
});

it("takes 80 lines and 2048 bytes of a log", () => {
  const log = Array.from({ length: 100 }, (_, index) => `2026-01-01T00:00:00Z stdout F ${index}\n`).join("");
  expect(lastLines(log).split("\n")).toHaveLength(81);
  expect(lastLines(`2026-01-01T00:00:00Z stdout F ${"y".repeat(4000)}\n`)).toHaveLength(2048);
});
