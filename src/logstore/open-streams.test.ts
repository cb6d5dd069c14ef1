import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { Gate } from "./gate.ts";
import { OpenStreams } from "./open-streams.ts";
import { StreamFile } from "./stream-file.ts";

const MINUTE_MS = 60_000;

let directory: string;
let clock: FakeClock;
let streams: OpenStreams;
let loads: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidegate-streams-"));
  clock = new FakeClock();
  loads = [];
  const syncGate = new Gate(2);
  const load = (streamId: string): Promise<StreamFile> => {
    loads.push(streamId);
    const folder = join(directory, streamId);
    return StreamFile.load({ folder, segmentBytes: 4096, maxStreamBytes: 1024 * 1024, syncGate, onCut: () => {} });
  };
  streams = new OpenStreams({ load, clock, logger: silentLogger });
});
afterEach(async () => {
  await streams.close();
  await rm(directory, { recursive: true, force: true });
});

/** A container's output: a batch from where its source stands to one byte more. */
function write(streamId: string): Promise<void> {
  return streams.use(streamId, async (file) => {
    const from = await file.position("task");
    const source = { id: "task", from, to: { file: "", offset: (from?.offset ?? 0) + 1 } };
    await file.append({ stream: streamId, events: [{ timestampMs: 1, message: "x" }], source }, clock.nowMs());
  });
}
const position = (streamId: string): Promise<number> => streams.use(streamId, async (file) => (await file.position("task"))?.offset ?? 0);

/** Files are closed for real: time stands still until the look that began has ended. */
const emptied = (size: number): Promise<void> => expect.poll(() => streams.size, { timeout: 30_000 }).toBe(size);

test("a thousand streams, a task each, leave the memory when their tasks have ended; the one that goes on stays; all can be read and go on", async () => {
  const names = Array.from({ length: 1_000 }, (_, index) => `task-${index}`);
  await Promise.all(names.map(write));
  expect(streams.size).toBe(1_000);
  for (let minute = 0; minute < 5; minute++) {
    await clock.advance(MINUTE_MS);
    await write("task-7");
  }
  await emptied(1);
  expect(await Promise.all(names.map(position))).toEqual(names.map((name) => (name === "task-7" ? 6 : 1)));
  await write("task-8");
  expect(await position("task-8")).toBe(2);
  expect(loads.filter((name) => name === "task-7")).toHaveLength(1);
});

test("once all are dropped no timer is left, and the next use sets one of minutes", async () => {
  await write("a");
  expect(clock.pendingDelaysMs()).toEqual([5 * MINUTE_MS]);
  await clock.advance(5 * MINUTE_MS);
  await emptied(0);
  await expect.poll(() => clock.pendingDelaysMs()).toEqual([]);
  await write("a");
  expect(clock.pendingDelaysMs()).toEqual([5 * MINUTE_MS]);
});

test("one in use is never dropped, however long the use lasts", async () => {
  const held = Promise.withResolvers<void>();
  const use = streams.use("slow", async (file) => {
    await held.promise;
    await file.append({ stream: "slow", events: [{ timestampMs: 1, message: "late" }] }, clock.nowMs());
    return file;
  });
  await write("other");
  await clock.advance(5 * MINUTE_MS);
  await emptied(1);
  held.resolve();
  const file = await use;
  expect(await streams.use("slow", (again) => again === file && again.entries().length)).toBe(1);
});

test("who comes while an idle one is closed keeps it", async () => {
  await write("a");
  await clock.advance(5 * MINUTE_MS - 1);
  const looked = clock.advance(1);
  await Promise.all([looked, write("a")]);
  expect(await position("a")).toBe(2);
});

test("a pass over all streams keeps none open that was not", async () => {
  await write("open");
  await Promise.all(Array.from({ length: 100 }, (_, index) => streams.visit(`passed-${index}`, (file) => file.removeBefore(5))));
  await streams.visit("open", (file) => file.removeBefore(0));
  expect(streams.size).toBe(1);
});
