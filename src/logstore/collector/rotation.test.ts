import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LogBatch, LogSource, LogStore, LogWriters } from "../../contracts/log-store.ts";
import type { Store } from "../../contracts/store.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { silentLogger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { openFixture, readAll, scope, type Fixture } from "../testing/fixture.ts";
import { LogWriter } from "../testing/log-writer.ts";
import { CriParser } from "./cri-parser.ts";
import { createLogCollector } from "./log-collector.ts";
import type { LogLimits } from "./log-rotation.ts";

/** Time runs a hundred times as fast, so that waits of the collector cost the test little. */
const fastClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  steadyMs: () => systemClock.steadyMs() * 100,
  setTimer: (delayMs, run) => systemClock.setTimer(delayMs / 100, run),
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 100, signal),
};

let store: Store;
let fixture: Fixture;
let folder: string;
let source: LogSource;
let writer: LogWriter;
const opened: { close(): Promise<void> }[] = [];

async function begin(): Promise<void> {
  store = createMemoryStore();
  fixture = await openFixture(store);
  folder = await mkdtemp(join(tmpdir(), "tidegate-rotation-"));
  source = { id: "task/web/0", path: join(folder, "web", "0.log"), scope, stream: "ecs/web/task" };
  await fixture.logStore.createGroup(scope, { tags: {} });
  await mkdir(join(folder, "web"));
  writer = new LogWriter(source.path);
}

async function end(): Promise<void> {
  writer.close();
  for (const each of opened.splice(0)) await each.close();
  await fixture.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
}

beforeEach(begin);
afterEach(end);

const SMALL: LogLimits = { rotateBytes: 2_000, backlogBytes: Infinity };

function collect(logStore: LogStore, writers: LogWriters = writer, limits: LogLimits = SMALL) {
  const collector = createLogCollector({ logStore, clock: fastClock, logger: silentLogger, writers, limits });
  opened.push(collector);
  return collector;
}

const stored = async (): Promise<readonly string[]> => (await readAll(fixture.logStore, source.stream)).map((each) => each.message);
const files = async (): Promise<readonly string[]> => (await readdir(join(folder, "web"))).sort();
const numbered = (from: number, to: number): readonly string[] => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);
const writeLines = (from: number, to: number): void => {
  for (const text of numbered(from, to)) writer.write(writer.line(text));
};

/** What a collector reaches of the world until a step at which it dies: before that step or right after it, and nothing after. */
class Mortal {
  #steps: number;
  readonly #after: boolean;
  readonly died = Promise.withResolvers<void>();
  #dead = false;

  constructor(steps: number, after: boolean) {
    this.#steps = steps;
    this.#after = after;
  }

  async step<T>(effect: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new Problem("unavailable", "dead");
    if (this.#steps-- > 0) return await effect();
    this.#dead = true;
    this.died.resolve();
    if (this.#after) await effect();
    throw new Problem("unavailable", "died");
  }

  store(inner: LogStore): LogStore {
    return Object.create(inner, {
      createStream: { value: inner.createStream.bind(inner) },
      position: { value: (id: string) => this.step(() => inner.position(id)) },
      append: { value: (to: typeof scope, batch: LogBatch) => this.step(() => inner.append(to, batch)) },
    }) as LogStore;
  }

  writers(inner: LogWriters): LogWriters {
    return { reopen: (id) => this.step(() => inner.reopen(id)), holds: (file) => this.step(() => inner.holds(file)) };
  }
}

it("rotates a log that grows, stores each line once, in order, and keeps no file that is stored", async () => {
  const collector = collect(fixture.logStore);
  await collector.follow(source);
  for (let at = 0; at < 2_000; at += 100) {
    writeLines(at, at + 100);
    await systemClock.sleep(5);
  }
  await expect.poll(stored).toEqual(numbered(0, 2_000));
  // The one before the current goes with the current one's first line.
  await expect.poll(async () => (await files()).length).toBeLessThanOrEqual(2);
  expect((await stat(source.path)).size).toBeLessThan(20_000);
  writer.close();
  await collector.finish(source.id);
  expect(await stored()).toEqual(numbered(0, 2_000));
});

it("goes on with a rotation that was left after the rename, and with files that were stored but not removed", async () => {
  writeLines(0, 100);
  await rename(source.path, `${source.path}.00000001`);
  writeLines(100, 150);
  const first = collect(fixture.logStore, undefined, { ...SMALL, rotateBytes: 1_000_000 });
  await first.follow(source);
  await expect.poll(files).toEqual(["0.log", "0.log.00000001"]);
  writeLines(150, 160);
  await expect.poll(stored).toEqual(numbered(0, 160));
  await expect.poll(files).toEqual(["0.log"]);
  await first.close();
  await rename(source.path, `${source.path}.00000001`);
  await writer.reopen();
  writeLines(160, 170);
  const second = collect(fixture.logStore);
  await second.follow(source);
  await expect.poll(stored).toEqual(numbered(0, 170));
  await expect.poll(files).toEqual(["0.log"]);
});

it("waits for the lines that the writer still has for the old file when it goes on in a new one", async () => {
  writeLines(0, 100);
  writer.holdBack(numbered(100, 103).map((text) => writer.line(text)));
  const collector = collect(fixture.logStore);
  await collector.follow(source);
  await expect.poll(files).toEqual(["0.log", "0.log.00000001"]);
  writeLines(103, 110);
  await expect.poll(stored).toHaveLength(110);
  expect(await stored()).toEqual(numbered(0, 110));
});

it("does not read again what is stored when it died between storing the first lines of a new file and removing the old one", async () => {
  writeLines(0, 20);
  await rename(source.path, `${source.path}.00000001`);
  await writer.reopen();
  const { logStore } = fixture;
  const crossed = Promise.withResolvers<void>();
  const dying = Object.create(logStore, {
    createStream: { value: logStore.createStream.bind(logStore) },
    position: { value: logStore.position.bind(logStore) },
    append: {
      value: async (to: typeof scope, batch: LogBatch) => {
        await logStore.append(to, batch);
        if (batch.source?.from === undefined || batch.source.from.file === batch.source.to.file) return;
        crossed.resolve();
        throw new Problem("unavailable", "died");
      },
    },
  }) as LogStore;
  const first = collect(dying);
  await first.follow(source);
  await expect.poll(stored).toEqual(numbered(0, 20));
  writeLines(20, 30);
  await crossed.promise;
  await first.close();
  expect(await files()).toEqual(["0.log", "0.log.00000001"]);
  const second = collect(logStore);
  await second.follow(source);
  await expect.poll(files).toEqual(["0.log"]);
  writeLines(30, 31);
  await expect.poll(async () => (await stored()).at(-1)).toBe("line 30");
  expect(await stored()).toEqual(numbered(0, 31));
});

it("loses and repeats nothing whenever it dies, while lines are cut in pieces and files are rotated beneath", { timeout: 120_000 }, async () => {
  const piece = fc.record({
    text: fc.oneof({ weight: 8, arbitrary: fc.string({ maxLength: 30 }) }, { weight: 1, arbitrary: fc.constant("long".repeat(400)) }),
    tag: fc.constantFrom("F" as const, "F" as const, "F" as const, "P" as const),
    stream: fc.constantFrom("stdout" as const, "stdout" as const, "stderr" as const),
  });
  const round = fc.record({
    lines: fc.array(piece, { minLength: 1, maxLength: 120 }),
    late: fc.nat({ max: 4 }),
    pauseEvery: fc.integer({ min: 5, max: 60 }),
    steps: fc.nat({ max: 12 }),
    after: fc.boolean(),
    crash: fc.boolean(),
  });
  await fc.assert(
    fc
      .asyncProperty(fc.array(round, { minLength: 1, maxLength: 5 }), async (rounds) => {
        let logStore = fixture.logStore;
        let number = 0;
        let written = "";
        for (const { lines, late, pauseEvery, steps, after, crash } of rounds) {
          const mortal = new Mortal(steps, after);
          const collector = collect(mortal.store(logStore), mortal.writers(writer));
          await collector.follow(source);
          const bytes = lines.map(({ text, ...rest }) => writer.line(`${number++} ${text.replaceAll("\n", " ")}`, rest));
          written += bytes.join("");
          for (let at = 0; at < bytes.length; at += pauseEvery) {
            const chunk = bytes.slice(at, at + pauseEvery);
            writer.write(chunk.slice(0, chunk.length - late).join(""));
            await systemClock.sleep(2);
            writer.holdBack(chunk.slice(chunk.length - late));
            await systemClock.sleep(3);
          }
          await Promise.race([mortal.died.promise, systemClock.sleep(20)]);
          await collector.close();
          if (crash) logStore = await fixture.reopenAfterCrash();
        }
        writer.close();
        const collector = collect(logStore, { reopen: async () => {}, holds: async () => false });
        await collector.follow(source);
        await collector.finish(source.id);
        const expected = new CriParser({ file: "", offset: 0, fallbackMs: 0 });
        expected.feed(Buffer.from(written));
        expected.flush();
        const events = expected.take(Infinity, Infinity)?.events ?? [];
        expect((await readAll(logStore, source.stream)).map((each) => each.message)).toEqual(events.map((each) => each.message));
        expect((await files()).length).toBeLessThanOrEqual(2);
      })
      .beforeEach(async () => {
        await end();
        await begin();
      }),
    { numRuns: 60, endOnFailure: true },
  );
});

it("drops the oldest unread files when the store cannot keep up, says so, and stores the rest in order", async () => {
  let full = true;
  const stuck = Object.create(fixture.logStore, {
    createStream: { value: fixture.logStore.createStream.bind(fixture.logStore) },
    position: { value: fixture.logStore.position.bind(fixture.logStore) },
    append: {
      value: async (to: typeof scope, batch: LogBatch) => {
        if (full) throw new Problem("unavailable", "no space left on device");
        await fixture.logStore.append(to, batch);
      },
    },
  }) as LogStore;
  const collector = collect(stuck, writer, { rotateBytes: 2_000, backlogBytes: 10_000 });
  await collector.follow(source);
  for (let at = 0; at < 1_500; at += 30) {
    writeLines(at, at + 30);
    await systemClock.sleep(5);
  }
  await expect.poll(() => collector.health().droppedBytes).toBeGreaterThan(10_000);
  const sizes = await Promise.all((await files()).map(async (name) => (await stat(join(folder, "web", name)).catch(() => undefined))?.size ?? 0));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(20_000);
  expect(collector.health().failing).toMatchObject([{ stream: "/ecs/web:ecs/web/task", error: "no space left on device" }]);
  full = false;
  writeLines(1_500, 1_510);
  await expect.poll(async () => (await stored()).at(-1)).toBe("line 1509");
  const messages = await stored();
  const lines = messages.filter((text) => text.startsWith("line")).map((text) => Number(text.slice(5)));
  expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
  expect(lines[0]).toBe(0);
  const gap = lines.findIndex((each, index) => each !== index);
  expect(messages[gap]).toMatch(/^\[tidegate\] \d+ bytes of log lines were dropped here/);
  // Cleared once the append has answered, a moment after its lines can be read.
  await expect.poll(() => collector.health()).toMatchObject({ failing: [], lastDrop: { stream: "/ecs/web:ecs/web/task" } });
});
