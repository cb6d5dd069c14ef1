import { appendFile, mkdir, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LogBatch, LogCollector, LogSource, LogStore } from "../../contracts/log-store.ts";
import type { Store } from "../../contracts/store.ts";
import { FakeClock, systemClock } from "../../core/clock.ts";
import { silentLogger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { openFixture, readAll, scope, type Fixture } from "../testing/fixture.ts";
import { createLogCollector } from "./log-collector.ts";

let store: Store;
let fixture: Fixture;
let folder: string;
let source: LogSource;
const collectors: (LogCollector & { close(): Promise<void> })[] = [];

beforeEach(async () => {
  store = createMemoryStore();
  fixture = await openFixture(store);
  folder = await mkdtemp(join(tmpdir(), "tidegate-cri-"));
  source = { id: "task/web/0", path: join(folder, "pod", "web", "0.log"), scope, stream: "ecs/web/task" };
  await fixture.logStore.createGroup(scope, { tags: {} });
  await mkdir(join(folder, "pod", "web"), { recursive: true });
});
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.close();
  await fixture.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

function collect(logStore: LogStore = fixture.logStore): LogCollector & { close(): Promise<void> } {
  const collector = createLogCollector({ logStore, clock: systemClock, logger: silentLogger });
  collectors.push(collector);
  return collector;
}

let nanos = 0;
const line = (text: string, tag = "F"): string => `2026-01-01T00:00:01.${String(nanos++).padStart(9, "0")}Z stdout ${tag} ${text}\n`;
const lines = (from: number, to: number): readonly string[] => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);
const write = (from: number, to: number, path = source.path): Promise<void> =>
  appendFile(
    path,
    lines(from, to)
      .map((text) => line(text))
      .join(""),
  );
const stored = async (logStore: LogStore = fixture.logStore): Promise<readonly string[]> =>
  (await readAll(logStore, source.stream)).map((each) => each.message);

it("ships what is there and what comes, in order, without being finished", async () => {
  await write(0, 3);
  await collect().follow(source);
  await expect.poll(() => stored()).toEqual(lines(0, 3));
  await write(3, 6);
  await expect.poll(() => stored()).toEqual(lines(0, 6));
});

it("waits for a folder and a file that do not exist yet", async () => {
  await rm(join(folder, "pod"), { recursive: true });
  await collect().follow(source);
  await mkdir(join(folder, "pod", "web"), { recursive: true });
  await write(0, 2);
  await expect.poll(() => stored()).toEqual(lines(0, 2));
});

it("makes the stream, refuses a group that is not there, and is idempotent", async () => {
  const collector = collect();
  await Promise.all([collector.follow(source), collector.follow(source)]);
  expect((await fixture.logStore.listStreams(scope)).map((each) => each.name)).toEqual([source.stream]);
  const homeless = { ...source, id: "other", scope: { ...scope, group: "none" } };
  await expect(collector.follow(homeless)).rejects.toMatchObject({ kind: "not-found" });
  await collector.finish("never heard of");
});

it("has stored everything when finish resolves, the unfinished last line too", async () => {
  const collector = collect();
  await collector.follow(source);
  await write(0, 2_000);
  await appendFile(source.path, line("no end", "P") + line("cut").slice(0, -2));
  await collector.finish(source.id);
  expect(await stored()).toEqual([...lines(0, 2_000), "no endcu"]);
  await collector.follow(source);
  await collector.finish(source.id);
  expect(await stored()).toHaveLength(2_001);
});

it("finishes a container that never wrote", async () => {
  const collector = collect();
  await collector.follow(source);
  await collector.finish(source.id);
  await writeFile(source.path, "");
  await collector.follow(source);
  await collector.finish(source.id);
  expect(await stored()).toEqual([]);
});

it("lands each line once across crashes of either side at any moment", async () => {
  let logStore = fixture.logStore;
  for (let round = 0; round < 8; round++) {
    await write(round * 500, round * 500 + 500);
    await appendFile(source.path, line("half ", "P"));
    const collector = collect(logStore);
    await collector.follow(source);
    await expect.poll(async () => (await stored(logStore)).length).toBeGreaterThan(round * 501);
    await collector.close();
    logStore = round % 2 === 0 ? await fixture.reopenAfterCrash() : logStore;
    await appendFile(source.path, line("whole"));
  }
  const collector = collect(logStore);
  await collector.follow(source);
  await collector.finish(source.id);
  const expected = Array.from({ length: 8 }, (_, round) => [...lines(round * 500, round * 500 + 500), "half whole"]).flat();
  expect(await stored(logStore)).toEqual(expected);
});

it("goes on after an append whose answer was lost, and after the disk was full for a while", async () => {
  let calls = 0;
  const flaky: LogStore = Object.create(fixture.logStore, {
    append: {
      value: async (to: typeof scope, batch: LogBatch) => {
        calls++;
        if (calls === 1) throw new Problem("unavailable", "no space left on device");
        await fixture.logStore.append(to, batch);
        if (calls === 2) throw new Problem("unavailable", "the answer was lost");
      },
    },
  }) as LogStore;
  for (const method of ["createStream", "position"] as const) {
    Object.defineProperty(flaky, method, { value: fixture.logStore[method].bind(fixture.logStore) });
  }
  const clock = new FakeClock();
  const collector = createLogCollector({ logStore: flaky, clock, logger: silentLogger });
  collectors.push(collector);
  await write(0, 5);
  await collector.follow(source);
  await expect.poll(() => calls).toBe(1);
  await expect
    .poll(async () => {
      await clock.advance(1_000);
      return calls;
    })
    .toBe(2);
  await write(5, 8);
  await expect
    .poll(async () => {
      await clock.advance(1_000);
      return stored();
    })
    .toHaveLength(8);
  await collector.finish(source.id);
  expect(await stored()).toEqual(lines(0, 8));
});

it("drains a rotated file before the new one, also when it was rotated while nobody looked", async () => {
  const collector = collect();
  await collector.follow(source);
  await write(0, 10);
  await expect.poll(() => stored()).toHaveLength(10);
  await write(10, 20);
  await rename(source.path, `${source.path}.20260101-000001`);
  await write(20, 25, `${source.path}.20260101-000001`);
  await write(25, 30);
  await expect.poll(() => stored()).toEqual(lines(0, 30));
  await collector.close();
  await write(30, 35);
  await rename(source.path, `${source.path}.20260101-000002`);
  await write(35, 40);
  await rename(source.path, `${source.path}.20260101-000003`);
  await write(40, 45);
  const next = collect();
  await next.follow(source);
  await next.finish(source.id);
  expect(await stored()).toEqual(lines(0, 45));
});

it("knows how far it is behind", async () => {
  const collector = collect();
  await collector.follow(source);
  await write(0, 10);
  await expect.poll(() => stored()).toHaveLength(10);
  await expect.poll(() => collector.lagBytes()).toBe(0);
  const { logStore } = fixture;
  const behind = Promise.withResolvers<void>();
  const append = logStore.append.bind(logStore);
  logStore.append = async (...args) => behind.promise.then(() => append(...args));
  await write(10, 12);
  const { length } = lines(10, 12)
    .map((text) => line(text))
    .join("");
  await expect.poll(() => collector.lagBytes()).toBe(length);
  behind.resolve();
  await expect.poll(() => collector.lagBytes()).toBe(0);
});

it("starts over in a file that was truncated", async () => {
  const collector = collect();
  await collector.follow(source);
  await write(0, 10);
  await expect.poll(() => stored()).toHaveLength(10);
  await truncate(source.path, 0);
  await write(10, 12);
  await expect.poll(() => stored()).toEqual(lines(0, 12));
});

it("drops what is written for a stream that was deleted, and does not hang", async () => {
  const collector = collect();
  await collector.follow(source);
  await write(0, 2);
  await expect.poll(() => stored()).toHaveLength(2);
  await fixture.logStore.deleteStream(scope, source.stream);
  await write(2, 4);
  await collector.finish(source.id);
  expect(await fixture.logStore.listStreams(scope)).toEqual([]);
});

it("commits a flood in full batches, each within CloudWatch's limits", async () => {
  const batches: LogBatch[] = [];
  const { logStore } = fixture;
  const watching: LogStore = Object.create(logStore, {
    append: {
      value: async (to: typeof scope, batch: LogBatch) => {
        batches.push(batch);
        await logStore.append(to, batch);
      },
    },
  }) as LogStore;
  for (const method of ["createStream", "position"] as const) Object.defineProperty(watching, method, { value: logStore[method].bind(logStore) });
  await appendFile(
    source.path,
    lines(0, 60_000)
      .map((text) => line(text.padEnd(60, ".")))
      .join(""),
  );
  const collector = collect(watching);
  await collector.follow(source);
  await collector.finish(source.id);
  expect((await stored()).length).toBe(60_000);
  expect(batches.length).toBeLessThan(20);
  for (const batch of batches) {
    expect(batch.events.length).toBeLessThanOrEqual(10_000);
    expect(batch.events.reduce((sum, event) => sum + Buffer.byteLength(event.message) + 26, 0)).toBeLessThanOrEqual(1_048_576);
  }
});

it("has no timer under 10 s while nothing is written", async () => {
  const clock = new FakeClock();
  const collector = createLogCollector({ logStore: fixture.logStore, clock, logger: silentLogger });
  collectors.push(collector);
  await collector.follow(source);
  await clock.advance(1_000);
  await expect.poll(() => clock.pendingDelaysMs().filter((delayMs) => delayMs < 8_999)).toEqual([]);
});

it("gives standard output a stream of its own, each line once, also after a kill between the two", async () => {
  const both = { ...source, stdoutStream: "ecs/audit/task" };
  const errors = (from: number, to: number): string =>
    lines(from, to)
      .map((text) => line(text).replace("stdout", "stderr"))
      .join("");
  const output = async (): Promise<readonly string[]> => (await readAll(fixture.logStore, both.stdoutStream)).map((each) => each.message);
  await write(0, 3);
  await appendFile(source.path, errors(100, 102));
  // What goes to the log's own stream is not stored: as far as the store knows, a kill came before it.
  let failing = true;
  const broken = Object.create(fixture.logStore, {
    append: {
      value: async (at: typeof scope, batch: LogBatch) => {
        if (failing && batch.stream === source.stream) throw new Problem("unavailable", "no");
        return fixture.logStore.append(at, batch);
      },
    },
  }) as LogStore;
  for (const method of ["createStream", "position"] as const) {
    Object.defineProperty(broken, method, { value: fixture.logStore[method].bind(fixture.logStore) });
  }
  const first = collect(broken);
  await first.follow(both);
  await expect.poll(output).toEqual(lines(0, 3));
  expect(await stored()).toEqual([]);
  await first.close();
  failing = false;
  await write(3, 5);
  await appendFile(source.path, errors(102, 104));
  await collect().follow(both);
  await expect.poll(() => stored()).toEqual(lines(100, 104));
  expect(await output()).toEqual(lines(0, 5));
});

it("drops standard error where nobody wants it, and goes on after it", async () => {
  await appendFile(source.path, line("noise").replace("stdout", "stderr"));
  const quiet = { ...source, stdoutStream: "ecs/audit/task", dropsStderr: true };
  const first = collect();
  await first.follow(quiet);
  await write(0, 2);
  const output = async (): Promise<readonly string[]> => (await readAll(fixture.logStore, quiet.stdoutStream)).map((each) => each.message);
  await expect.poll(output).toEqual(lines(0, 2));
  await first.finish(quiet.id);
  expect(await stored()).toEqual([]);
});
