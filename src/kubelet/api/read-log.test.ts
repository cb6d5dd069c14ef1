import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readLog } from "./read-log.ts";
import type { LogOptions } from "./routes.ts";

const USUAL: LogOptions = { follow: false, previous: false, timestamps: false, streams: "All" };
const line = (text: string): string => `2026-01-01T00:00:00Z stdout F ${text}\n`;
const linesOf = (from: number, to: number): string => Array.from({ length: to - from }, (_, index) => line(`${from + index}`)).join("");
const textOf = (from: number, to: number): string => Array.from({ length: to - from }, (_, index) => `${from + index}\n`).join("");

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidegate-log-"));
  path = join(folder, "0.log");
});
afterEach(() => rm(folder, { recursive: true }));

async function read(options: Partial<LogOptions> = {}): Promise<string> {
  let answer = "";
  await readLog({
    path,
    options: { ...USUAL, ...options },
    nowMs: Date.UTC(2026, 0, 1),
    isOpen: async () => false,
    wake: async () => {},
    write: async (bytes) => void (answer += bytes.toString()),
  });
  return answer;
}

test("a log is all its files, oldest first; one without files is empty", async () => {
  expect(await read()).toBe("");
  await writeFile(`${path}.00000001`, linesOf(0, 5000));
  await writeFile(`${path}.00000002`, linesOf(5000, 5003));
  await writeFile(path, linesOf(5003, 5005));
  expect(await read()).toBe(textOf(0, 5005));
});

test("the last lines are counted over all files", async () => {
  await writeFile(`${path}.00000001`, linesOf(0, 5000));
  await writeFile(path, linesOf(5000, 5002));
  for (const tailLines of [0, 1, 2, 3, 4000, 5002, 9000]) {
    expect(await read({ tailLines }), `the last ${tailLines}`).toBe(textOf(Math.max(0, 5002 - tailLines), 5002));
  }
});

test("a log that is followed goes on over rotations, and ends with its writer", async () => {
  await writeFile(path, linesOf(0, 3));
  let answer = "";
  let turns = 0;
  await readLog({
    path,
    options: { ...USUAL, follow: true, tailLines: 1 },
    nowMs: 0,
    isOpen: async () => turns < 4,
    async wake() {
      turns++;
      if (turns === 1) await appendFile(path, linesOf(3, 5));
      if (turns === 2) {
        // Two rotations between two looks, and a line that came late into the first file.
        await rename(path, `${path}.00000001`);
        await writeFile(`${path}.00000002`, linesOf(6, 8));
        await appendFile(`${path}.00000001`, linesOf(5, 6));
        await writeFile(path, linesOf(8, 9));
      }
      if (turns === 4) await appendFile(path, linesOf(9, 10));
    },
    write: async (bytes) => void (answer += bytes.toString()),
  });
  expect(answer).toBe(textOf(2, 10));
});
