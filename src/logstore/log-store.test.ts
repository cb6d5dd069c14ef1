import { appendFile, open, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LogBatch, LogStore, SourcePosition } from "../contracts/log-store.ts";
import { collection, type Store } from "../contracts/store.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { openFixture, readAll, scope, type Fixture } from "./testing/fixture.ts";

let store: Store;
let fixture: Fixture;
let logStore: LogStore;

beforeEach(async () => {
  store = createMemoryStore();
  fixture = await openFixture(store, { segmentBytes: 4096 });
  logStore = fixture.logStore;
  await logStore.createGroup(scope, { tags: {} });
  await logStore.createStream(scope, "s");
});
afterEach(async () => {
  await fixture.close();
  await store.close();
});

const at = (timestampMs: number, message = `m${timestampMs}`): { readonly timestampMs: number; readonly message: string } => ({
  timestampMs,
  message,
});
const messages = (events: readonly { readonly message: string }[]): readonly string[] => events.map((each) => each.message);

async function segments(): Promise<readonly string[]> {
  const names = await readdir(fixture.directory, { recursive: true });
  return names.filter((name) => name.endsWith(".seg")).sort();
}

describe("groups and streams", () => {
  it("are made once, listed in order, and gone with all that was in them", async () => {
    await expect(logStore.createGroup(scope, { tags: {} })).rejects.toMatchObject({ kind: "already-exists" });
    await expect(logStore.createStream(scope, "s")).rejects.toMatchObject({ kind: "already-exists" });
    await expect(logStore.createStream({ ...scope, group: "none" }, "s")).rejects.toMatchObject({ kind: "not-found" });
    await logStore.createGroup({ ...scope, group: "/ecs/api" }, { tags: { a: "b" } });
    expect((await logStore.listGroups({ ...scope, group: "/ecs/" })).map((each) => each.name)).toEqual(["/ecs/api", "/ecs/web"]);
    expect(await logStore.listGroups({ ...scope, region: "eu-west-1", group: "" })).toEqual([]);
    await logStore.append(scope, { stream: "s", events: [at(5, "hello")] });
    await logStore.deleteGroup(scope);
    expect(await readdir(fixture.directory)).toEqual([]);
    await expect(logStore.listStreams(scope)).rejects.toMatchObject({ kind: "not-found" });
    await logStore.createGroup(scope, { tags: {} });
    await logStore.createStream(scope, "s");
    expect(await readAll(logStore, "s")).toEqual([]);
  });

  it("keep retention and tags apart when either changes", async () => {
    await logStore.updateGroup(scope, { retentionDays: 7 });
    await logStore.updateGroup(scope, { tags: { team: "x" } });
    expect((await logStore.listGroups(scope))[0]).toMatchObject({ retentionDays: 7, tags: { team: "x" } });
    expect(await logStore.getGroup(scope)).toMatchObject({ name: scope.group, retentionDays: 7, tags: { team: "x" } });
    expect(await logStore.getGroup({ ...scope, group: "/ecs/we" })).toBeUndefined();
    await logStore.updateGroup(scope, { retentionDays: null });
    expect((await logStore.listGroups(scope))[0]?.retentionDays).toBeUndefined();
  });

  it("describe what they hold, also after a restart", async () => {
    await logStore.append(scope, { stream: "s", events: [at(50, "é"), at(20, "abc")] });
    const expected = { name: "s", firstEventMs: 20, lastEventMs: 50, storedBytes: 2 + 3 + 2 * 26, lastIngestionMs: fixture.clock.nowMs() };
    expect((await logStore.listStreams(scope))[0]).toMatchObject(expected);
    const reopened = await fixture.reopen();
    expect((await reopened.listStreams(scope))[0]).toMatchObject(expected);
    expect((await reopened.listGroups(scope))[0]?.storedBytes).toBe(57);
  });

  it("leave no folder behind when a crash cuts a deletion short", async () => {
    await logStore.append(scope, { stream: "s", events: [at(1)] });
    await store.transact([{ op: "delete", collection: { name: "logs.group" }, key: "111122223333/us-east-1//ecs/web" }]);
    await fixture.reopen();
    expect(await readdir(fixture.directory)).toEqual([]);
    expect(await store.list({ name: "logs.stream" })).toEqual([]);
  });
});

describe("append and read", () => {
  it("pages forward and backward through many segments, with the same token at the end", async () => {
    const all = Array.from({ length: 1_000 }, (_, index) => at(1_000 + index));
    for (let from = 0; from < all.length; from += 20) await logStore.append(scope, { stream: "s", events: all.slice(from, from + 20) });
    expect((await segments()).length).toBeGreaterThan(5);
    expect(messages(await readAll(logStore, "s", 37))).toEqual(messages(all));
    const last = await logStore.read(scope, "s", { limit: 10, fromHead: false });
    expect(messages(last.events)).toEqual(messages(all.slice(-10)));
    const before = await logStore.read(scope, "s", { limit: 10, fromHead: false, token: last.backwardToken });
    expect(messages(before.events)).toEqual(messages(all.slice(-20, -10)));
    const again = await logStore.read(scope, "s", { limit: 10, fromHead: true, token: before.forwardToken });
    expect(messages(again.events)).toEqual(messages(last.events));
    const end = await logStore.read(scope, "s", { limit: 10, fromHead: true, token: last.forwardToken });
    expect(end).toMatchObject({ events: [], forwardToken: last.forwardToken });
    await logStore.append(scope, { stream: "s", events: [at(9_999, "later")] });
    expect(messages((await logStore.read(scope, "s", { limit: 10, fromHead: true, token: end.forwardToken })).events)).toEqual(["later"]);
  });

  it("bounds a read by time, the end exclusive", async () => {
    await logStore.append(scope, { stream: "s", events: [at(10), at(20), at(30)] });
    expect(messages((await logStore.read(scope, "s", { limit: 9, fromHead: true, startMs: 10, endMs: 30 })).events)).toEqual(["m10", "m20"]);
  });

  it("merges what came out of order by time, ties in order of arrival", async () => {
    await logStore.append(scope, { stream: "s", events: [at(30), at(10), at(20, "first")] });
    await logStore.append(scope, { stream: "s", events: [at(5), at(20, "second"), at(25)] });
    const expected = ["m5", "m10", "first", "second", "m25", "m30"];
    expect(messages(await readAll(logStore, "s"))).toEqual(expected);
    expect(messages(await readAll(logStore, "s", 1))).toEqual(expected);
    expect(messages((await logStore.read(scope, "s", { limit: 3, fromHead: false })).events)).toEqual(expected.slice(-3));
  });

  it("gives each event an id of its own that stays", async () => {
    await logStore.append(scope, { stream: "s", events: [at(1), at(2), at(2)] });
    const ids = (await readAll(logStore, "s")).map((each) => each.eventId);
    expect(new Set(ids).size).toBe(3);
    expect(ids).toEqual(ids.toSorted());
    expect(ids[0]).toMatch(/^\d{56}$/);
    expect((await readAll(await fixture.reopen(), "s")).map((each) => each.eventId)).toEqual(ids);
  });

  it("ends a page at about 1 MiB", async () => {
    for (let index = 0; index < 30; index++) await logStore.append(scope, { stream: "s", events: [at(index, "x".repeat(100_000))] });
    const page = await logStore.read(scope, "s", { limit: 10_000, fromHead: true });
    expect(page.events).toHaveLength(10);
    expect(await readAll(logStore, "s")).toHaveLength(30);
  });

  it("commits concurrent appends each whole", async () => {
    await Promise.all(Array.from({ length: 100 }, (_, index) => logStore.append(scope, { stream: "s", events: [at(index, "a"), at(index, "b")] })));
    const reopened = await fixture.reopenAfterCrash();
    expect(messages(await readAll(reopened, "s"))).toEqual(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? "a" : "b")));
  });
});

it("acknowledges what is written whole, also where the disk takes it bit by bit", async () => {
  type Write = (bytes: Buffer, offset: number, length: number, position: number) => Promise<{ readonly bytesWritten: number }>;
  const probe = await open("/dev/null");
  const prototype = Object.getPrototypeOf(probe) as { write: Write };
  await probe.close();
  const { write } = prototype;
  const bitByBit = vi.spyOn(prototype, "write").mockImplementation(function (this: unknown, bytes, offset, length, position) {
    return write.call(this, bytes, offset, Math.min(length, 50), position);
  });
  try {
    for (let count = 1; count <= 5; count++) await logStore.append(scope, { stream: "s", events: [at(count, `${count} ${"x".repeat(200)}`)] });
    expect(bitByBit.mock.calls.length).toBeGreaterThan(25);
  } finally {
    bitByBit.mockRestore();
  }
  const numbers = async (of: LogStore): Promise<readonly number[]> => messages(await readAll(of, "s")).map((message) => Number.parseInt(message, 10));
  expect(await numbers(logStore)).toEqual([1, 2, 3, 4, 5]);
  expect(await numbers(await fixture.reopenAfterCrash())).toEqual([1, 2, 3, 4, 5]);
});

describe("positions of sources", () => {
  const place = (offset: number, file = "1"): SourcePosition | undefined => (offset === 0 ? undefined : { file, offset });
  const batch = (from: SourcePosition | undefined, offset: number, file = "1"): LogBatch => ({
    stream: "s",
    events: [at(offset)],
    source: { id: "task/web", from, to: { file, offset } },
  });
  const position = async (of: LogStore): Promise<SourcePosition | undefined> => (await of.position("task/web"))?.at;

  it("move with the events, refuse what does not follow, and survive restarts, crashes and removed segments", async () => {
    expect(await position(logStore)).toBeUndefined();
    await logStore.append(scope, batch(undefined, 100));
    await expect(logStore.append(scope, batch(undefined, 100))).rejects.toMatchObject({ kind: "conflict" });
    const racing = await Promise.allSettled([logStore.append(scope, batch(place(100), 200)), logStore.append(scope, batch(place(100), 200))]);
    expect(racing.map((each) => each.status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await position(await fixture.reopenAfterCrash())).toEqual(place(200));
    const reopened = await fixture.reopen();
    expect(await position(reopened)).toEqual(place(200));
    const expired = await segments();
    await reopened.updateGroup(scope, { retentionDays: 1 });
    await fixture.clock.advance(3_600_000);
    await expect.poll(async () => (await segments()).filter((path) => expired.includes(path))).toEqual([]);
    expect(await readAll(reopened, "s")).toEqual([]);
    expect(await position(await fixture.reopenAfterCrash())).toEqual(place(200));
  });

  it("move on from file to file, and only the last counts", async () => {
    await logStore.append(scope, batch(undefined, 100));
    await logStore.append(scope, batch(place(100), 7, "2"));
    await expect(logStore.append(scope, batch(place(100), 200))).rejects.toMatchObject({ kind: "conflict" });
    expect(await position(await fixture.reopenAfterCrash())).toEqual(place(7, "2"));
    expect(await position(await fixture.reopen())).toEqual(place(7, "2"));
    expect(await store.list({ name: "logs.source" })).toHaveLength(1);
  });

  it("are found where an earlier version left them, under a record for each file", async () => {
    await logStore.append(scope, batch(undefined, 100));
    const sources = collection<{ readonly streamId: string }>("logs.source");
    const [record] = await store.list(sources);
    await store.transact([
      { op: "delete", collection: sources, key: "task/web" },
      { op: "put", collection: sources, key: "task/web@1", value: record?.value ?? { streamId: "" } },
    ]);
    expect(await position(await fixture.reopen())).toEqual(place(100));
    await fixture.logStore.deleteStream(scope, "s");
    expect(await store.list({ name: "logs.source" })).toEqual([]);
  });

  it("go with the stream", async () => {
    await logStore.append(scope, batch(undefined, 100));
    await logStore.deleteStream(scope, "s");
    await logStore.createStream(scope, "s");
    expect(await position(logStore)).toBeUndefined();
    expect(await store.list({ name: "logs.source" })).toEqual([]);
  });

  it("and events agree wherever a crash cuts the file", async () => {
    for (let index = 0; index < 3; index++) await logStore.append(scope, batch(place(index * 100), index * 100 + 100));
    const [segment = ""] = await segments();
    const path = join(fixture.directory, segment);
    const whole = await readFile(path);
    for (let length = whole.length - 1; length > 0; length -= 7) {
      await writeFile(path, whole.subarray(0, length));
      const cut = await fixture.reopenAfterCrash();
      const events = await readAll(cut, "s");
      const found = await position(cut);
      expect(found).toEqual(place(events.length * 100));
      const next = (found?.offset ?? 0) + 50;
      await cut.append(scope, batch(found, next));
      expect(messages(await readAll(await fixture.reopenAfterCrash(), "s"))).toEqual([...messages(events), `m${next}`]);
    }
  });

  it("ignore what follows a torn tail", async () => {
    await logStore.append(scope, batch(undefined, 100));
    const [segment = ""] = await segments();
    await appendFile(join(fixture.directory, segment), Buffer.alloc(500, 7));
    const reopened = await fixture.reopenAfterCrash();
    await reopened.append(scope, batch(place(100), 200));
    expect(messages(await readAll(await fixture.reopenAfterCrash(), "s"))).toEqual(["m100", "m200"]);
  });
});

describe("retention and caps", () => {
  it("keep all groups together within the cap at the cost of the largest; positions stay known", async () => {
    const capped = await fixture.reopen({ segmentBytes: 4096, maxStoreBytes: 40_000 });
    await capped.createGroup({ ...scope, group: "quiet" }, { tags: {} });
    await capped.createStream({ ...scope, group: "quiet" }, "q");
    await capped.append({ ...scope, group: "quiet" }, { stream: "q", events: [at(1, "old but not much")] });
    for (let index = 0; index < 200; index++) {
      const from = index === 0 ? undefined : { file: "1", offset: index };
      const source = { id: "task/web", from, to: { file: "1", offset: index + 1 } };
      await capped.append(scope, { stream: "s", events: [at(index + 10, `${index} `.padEnd(1_000, "."))], source });
    }
    expect((await segments()).length).toBeGreaterThan(40);
    await fixture.clock.advance(10_000);
    const sizes = async () => Promise.all((await segments()).map(async (path) => (await readFile(join(fixture.directory, path))).length));
    await expect.poll(async () => (await sizes()).reduce((sum, size) => sum + size, 0)).toBeLessThan(40_500);
    const left = messages(await readAll(capped, "s"));
    expect(left.length).toBeGreaterThan(20);
    expect(left.map((text) => Number(text.split(" ")[0]))).toEqual(Array.from(left, (_, index) => 200 - left.length + index));
    const quiet = await capped.read({ ...scope, group: "quiet" }, "q", { limit: 10, fromHead: true });
    expect(messages(quiet.events)).toEqual(["old but not much"]);
    expect((await (await fixture.reopenAfterCrash()).position("task/web"))?.at).toEqual({ file: "1", offset: 200 });
  });

  it("hides expired events at once and removes their segments by and by", async () => {
    const nowMs = fixture.clock.nowMs();
    for (let age = 10; age > 0; age--) {
      await logStore.append(scope, {
        stream: "s",
        events: Array.from({ length: 60 }, () => at(nowMs - age * 86_400_000, `${age} days old`.padEnd(80))),
      });
    }
    const before = (await segments()).length;
    await logStore.updateGroup(scope, { retentionDays: 3 });
    expect(await readAll(logStore, "s")).toHaveLength(180);
    await fixture.clock.advance(3_600_000);
    await expect.poll(async () => (await segments()).length).toBeLessThan(before);
    expect((await readAll(await fixture.reopen(), "s")).length).toBe(120);
  });

  it("drops the oldest segments beyond the cap", async () => {
    const capped = await fixture.reopen({ maxStreamBytes: 20_000 });
    for (let index = 0; index < 100; index++) await capped.append(scope, { stream: "s", events: [at(index, String(index).padEnd(1_000))] });
    const left = await readAll(capped, "s");
    expect(left.length).toBeLessThan(30);
    expect(left.at(-1)?.message.trim()).toBe("99");
  });
});

describe("filter", () => {
  it("merges streams by time and pages to the end without an empty page", async () => {
    await logStore.createStream(scope, "t");
    const expected: string[] = [];
    for (let index = 0; index < 60; index++) {
      await logStore.append(scope, { stream: index % 3 === 0 ? "t" : "s", events: [at(1_000 + Math.floor(index / 2), `n${index}`)] });
    }
    const seen: { readonly message: string; readonly stream: string; readonly timestampMs: number }[] = [];
    let pages = 0;
    for (let token: string | undefined; ; pages++) {
      const page = await logStore.filter(scope, { limit: 10, token });
      seen.push(...page.events);
      expected.push(...messages(page.events));
      token = page.nextToken;
      if (token === undefined) break;
    }
    expect(pages).toBe(5);
    expect(new Set(expected).size).toBe(60);
    const order = seen.map((each) => `${each.timestampMs} ${each.stream}`);
    expect(order).toEqual(order.toSorted());
    expect((await logStore.filter(scope, { limit: 100, streams: ["t"] })).events).toHaveLength(20);
    expect((await logStore.filter(scope, { limit: 100, streamPrefix: "t" })).events).toHaveLength(20);
    await expect(logStore.filter(scope, { limit: 1, streams: ["none"] })).rejects.toMatchObject({ kind: "not-found" });
    await expect(logStore.filter(scope, { limit: 1, token: "rubbish" })).rejects.toMatchObject({ kind: "invalid" });
  });

  it("passes only what the pattern matches, between two times", async () => {
    await logStore.append(scope, { stream: "s", events: [at(1, "ERROR a"), at(2, "fine"), at(3, "ERROR b"), at(4, "ERROR c")] });
    expect(messages((await logStore.filter(scope, { limit: 9, pattern: "ERROR", startMs: 1, endMs: 4 })).events)).toEqual(["ERROR a", "ERROR b"]);
  });
});
