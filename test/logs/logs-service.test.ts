import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  DescribeLogGroupsResponse,
  DescribeLogStreamsResponse,
  FilterLogEventsResponse,
  GetLogEventsResponse,
  PutLogEventsResponse,
} from "@aws-sdk/client-cloudwatch-logs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RequestContext, Service } from "../../src/contracts/service.ts";
import { FakeClock } from "../../src/core/clock.ts";
import { seededIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { openLogStore } from "../../src/logstore/log-store.ts";
import { createLogsService } from "../../src/services/logs/service.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";

const NOW_MS = Date.UTC(2026, 0, 20);
const DAY_MS = 86_400_000;
const NO_GROUP = { code: "ResourceNotFoundException", message: "The specified log group does not exist." };
const NO_STREAM = { code: "ResourceNotFoundException", message: "The specified log stream does not exist." };
const ARN = "arn:aws:logs:us-east-1:111122223333:log-group:/ecs/web";

let directory: string;
let clock: FakeClock;
let service: Service;
let close: () => Promise<void>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tidegate-logs-"));
  clock = new FakeClock(NOW_MS);
  const toolbox = { clock, ids: seededIds("logs"), logger: silentLogger };
  const logStore = await openLogStore({ directory, store: createMemoryStore(), ...toolbox });
  close = () => logStore.close();
  service = createLogsService({ logStore, toolbox });
});
afterEach(async () => {
  await close();
  await rm(directory, { recursive: true, force: true });
});

async function call<Output = unknown>(name: string, input: object = {}, region = "us-east-1"): Promise<Output> {
  const operation = service.operations.find((each) => each.name === name);
  if (operation === undefined) throw new Error(`no operation ${name}`);
  const principal = { arn: "arn:aws:iam::111122223333:root", userId: "111122223333", accessKeyId: "AKIA" };
  const context: RequestContext = {
    account: "111122223333",
    region,
    requestId: "r",
    principal,
    nowMs: clock.nowMs(),
    logger: silentLogger,
    host: "localhost:4566",
  };
  return (await operation.handle(input, context)) as Output;
}

const group = { logGroupName: "/ecs/web" };
const stream = { ...group, logStreamName: "s" };

async function setUp(): Promise<void> {
  await call("CreateLogGroup", group);
  await call("CreateLogStream", stream);
}

const event = (timestamp: number, message = `m${timestamp - NOW_MS}`): { readonly timestamp: number; readonly message: string } => ({
  timestamp,
  message,
});
const put = (...logEvents: readonly object[]): Promise<PutLogEventsResponse> => call("PutLogEvents", { ...stream, logEvents });

describe("log groups", () => {
  it("are made once, described with their ARNs, and deleted", async () => {
    await call("CreateLogGroup", { ...group, tags: { team: "x" } });
    await expect(call("CreateLogGroup", group)).rejects.toMatchObject({
      code: "ResourceAlreadyExistsException",
      message: "The specified log group already exists",
    });
    expect(await call("DescribeLogGroups")).toEqual({
      logGroups: [
        {
          logGroupName: "/ecs/web",
          creationTime: NOW_MS,
          retentionInDays: undefined,
          metricFilterCount: 0,
          arn: `${ARN}:*`,
          logGroupArn: ARN,
          storedBytes: 0,
          logGroupClass: "STANDARD",
        },
      ],
      nextToken: undefined,
    });
    expect(await call("DescribeLogGroups", {}, "eu-west-1")).toMatchObject({ logGroups: [] });
    await call("DeleteLogGroup", group);
    await expect(call("DeleteLogGroup", group)).rejects.toMatchObject(NO_GROUP);
  });

  it("are paged by name, and found by prefix, pattern or identifier", async () => {
    for (const name of ["a/1", "a/2", "a/3", "b/1"]) await call("CreateLogGroup", { logGroupName: name });
    const names = async (input: object): Promise<readonly unknown[]> =>
      ((await call<DescribeLogGroupsResponse>("DescribeLogGroups", input)).logGroups ?? []).map((each) => each.logGroupName);
    const first = await call<DescribeLogGroupsResponse>("DescribeLogGroups", { limit: 2 });
    expect(first.logGroups?.map((each) => each.logGroupName)).toEqual(["a/1", "a/2"]);
    await call("DeleteLogGroup", { logGroupName: "a/2" });
    expect(await names({ limit: 2, nextToken: first.nextToken })).toEqual(["a/3", "b/1"]);
    expect(await names({ logGroupNamePrefix: "a/" })).toEqual(["a/1", "a/3"]);
    expect(await names({ logGroupNamePattern: "/1" })).toEqual(["a/1", "b/1"]);
    expect(await names({ logGroupClass: "INFREQUENT_ACCESS" })).toEqual([]);
    expect(await names({ logGroupIdentifiers: ["arn:aws:logs:us-east-1:111122223333:log-group:b/1"] })).toEqual(["b/1"]);
    await expect(call("DescribeLogGroups", { nextToken: "rubbish" })).rejects.toMatchObject({ message: "The specified nextToken is invalid." });
  });

  it("take one of AWS's retention spans, and lose it again", async () => {
    await expect(call("PutRetentionPolicy", { ...group, retentionInDays: 7 })).rejects.toMatchObject(NO_GROUP);
    await setUp();
    await call("PutRetentionPolicy", { ...group, retentionInDays: 7 });
    const described = async (): Promise<unknown> => (await call<DescribeLogGroupsResponse>("DescribeLogGroups")).logGroups?.[0]?.retentionInDays;
    expect(await described()).toBe(7);
    await expect(call("PutRetentionPolicy", { ...group, retentionInDays: 2 })).rejects.toMatchObject({
      code: "InvalidParameterException",
      message: expect.stringMatching(/^1 validation error detected: Value '2' at 'retentionInDays' .* enum value set: \[1, 3, 5/) as string,
    });
    await call("DeleteRetentionPolicy", group);
    await call("DeleteRetentionPolicy", group);
    expect(await described()).toBeUndefined();
  });

  it("are tagged by ARN with or without :* and by name, and no tag is lost to another call", async () => {
    await setUp();
    await Promise.all(["a", "b", "c"].map((key) => call("TagResource", { resourceArn: ARN, tags: { [key]: "1" } })));
    await call("TagLogGroup", { ...group, tags: { d: "2" } });
    await call("UntagResource", { resourceArn: `${ARN}:*`, tagKeys: ["a", "none"] });
    await call("UntagLogGroup", { ...group, tags: ["b"] });
    expect(await call("ListTagsForResource", { resourceArn: ARN })).toEqual({ tags: { c: "1", d: "2" } });
    expect(await call("ListTagsLogGroup", group)).toEqual({ tags: { c: "1", d: "2" } });
    const many = Object.fromEntries(Array.from({ length: 49 }, (_, index) => [`k${index}`, "v"]));
    await expect(call("TagResource", { resourceArn: ARN, tags: many })).rejects.toMatchObject({ code: "TooManyTagsException" });
    await expect(call("ListTagsForResource", { resourceArn: `${ARN}x` })).rejects.toMatchObject(NO_GROUP);
    await expect(call("ListTagsForResource", { resourceArn: "arn:aws:s3:::b" })).rejects.toMatchObject({ code: "InvalidParameterException" });
  });
});

describe("log streams", () => {
  it("are made once, in a group that exists, and deleted", async () => {
    await expect(call("CreateLogStream", stream)).rejects.toMatchObject(NO_GROUP);
    await setUp();
    await expect(call("CreateLogStream", stream)).rejects.toMatchObject({
      code: "ResourceAlreadyExistsException",
      message: "The specified log stream already exists",
    });
    await call("DeleteLogStream", stream);
    await expect(call("DeleteLogStream", stream)).rejects.toMatchObject(NO_STREAM);
    await expect(call("DeleteLogStream", { ...stream, logGroupName: "none" })).rejects.toMatchObject(NO_GROUP);
  });

  it("are listed by name or by last event, both ways, in pages", async () => {
    await call("CreateLogGroup", group);
    for (const [name, offsetMs] of [
      ["a", 30],
      ["b", 10],
      ["c", 20],
      ["d", 20],
    ] as const) {
      await call("CreateLogStream", { ...group, logStreamName: name });
      await call("PutLogEvents", { ...group, logStreamName: name, logEvents: [event(NOW_MS + offsetMs)] });
    }
    const all = async (input: object): Promise<string> => {
      let names = "";
      for (let nextToken: string | undefined; ;) {
        const page = await call<DescribeLogStreamsResponse>("DescribeLogStreams", { ...group, ...input, limit: 1, nextToken });
        names += page.logStreams?.map((each) => each.logStreamName).join("") ?? "";
        nextToken = page.nextToken;
        if (nextToken === undefined) return names;
      }
    };
    expect(await all({})).toBe("abcd");
    expect(await all({ descending: true })).toBe("dcba");
    expect(await all({ orderBy: "LastEventTime" })).toBe("bcda");
    expect(await all({ orderBy: "LastEventTime", descending: true })).toBe("adcb");
    expect(await all({ logStreamNamePrefix: "c" })).toBe("c");
    expect((await call<DescribeLogStreamsResponse>("DescribeLogStreams", { logGroupIdentifier: ARN })).logStreams?.[0]).toMatchObject({
      logStreamName: "a",
      creationTime: NOW_MS,
      firstEventTimestamp: NOW_MS + 30,
      lastEventTimestamp: NOW_MS + 30,
      lastIngestionTime: NOW_MS,
      arn: `${ARN}:log-stream:a`,
      storedBytes: 0,
    });
    await expect(call("DescribeLogStreams", { ...group, orderBy: "LastEventTime", logStreamNamePrefix: "a" })).rejects.toMatchObject({
      message: "Cannot order by LastEventTime with a logStreamNamePrefix.",
    });
    await expect(call("DescribeLogStreams", { logGroupName: "none" })).rejects.toMatchObject(NO_GROUP);
    await expect(call("DescribeLogStreams", {})).rejects.toMatchObject({ code: "InvalidParameterException" });
  });
});

describe("PutLogEvents", () => {
  it("keeps a batch and gives a token that nobody needs", async () => {
    await expect(put(event(NOW_MS))).rejects.toMatchObject(NO_GROUP);
    await call("CreateLogGroup", group);
    await expect(put(event(NOW_MS))).rejects.toMatchObject(NO_STREAM);
    await call("CreateLogStream", stream);
    const answer = await put(event(NOW_MS), event(NOW_MS), event(NOW_MS + 1));
    expect(answer).toEqual({ nextSequenceToken: expect.stringMatching(/^\d{56}$/) as string, rejectedLogEventsInfo: undefined });
    await put(event(NOW_MS + 2));
    expect((await call<GetLogEventsResponse>("GetLogEvents", stream)).events).toHaveLength(4);
  });

  it("refuses a batch that is out of order, too long in time or too large", async () => {
    await setUp();
    await expect(put(event(NOW_MS), event(NOW_MS - 1))).rejects.toMatchObject({
      code: "InvalidParameterException",
      message: "Log events in a single PutLogEvents request must be in chronological order.",
    });
    await expect(put(event(NOW_MS - DAY_MS - 1), event(NOW_MS))).rejects.toMatchObject({ message: expect.stringContaining("24 hours") as string });
    await expect(put(event(NOW_MS, "é".repeat(524_276)))).rejects.toMatchObject({
      message: "Upload too large: 1048578 bytes exceeds limit of 1048576",
    });
    await put(event(NOW_MS, "é".repeat(524_275)));
    expect((await call<GetLogEventsResponse>("GetLogEvents", stream)).events).toHaveLength(1);
  });

  it("leaves out what is too old, expired or too new, and says so", async () => {
    await setUp();
    const old = NOW_MS - 14 * DAY_MS;
    expect((await put(event(old - 1), event(old), event(old + 1))).rejectedLogEventsInfo).toMatchObject({ tooOldLogEventEndIndex: 1 });
    const soon = NOW_MS + 2 * 3_600_000;
    expect((await put(event(soon), event(soon + 1), event(soon + 2))).rejectedLogEventsInfo).toMatchObject({ tooNewLogEventStartIndex: 1 });
    await call("PutRetentionPolicy", { ...group, retentionInDays: 3 });
    const info = (await put(event(NOW_MS - 3 * DAY_MS - 5), event(NOW_MS - 3 * DAY_MS))).rejectedLogEventsInfo;
    expect(info).toEqual({ tooOldLogEventEndIndex: undefined, expiredLogEventEndIndex: 1, tooNewLogEventStartIndex: undefined });
    await call("DeleteRetentionPolicy", group);
    const kept = (await call<GetLogEventsResponse>("GetLogEvents", stream)).events?.map((each) => each.timestamp);
    expect(kept).toEqual([old, old + 1, NOW_MS - 3 * DAY_MS, soon]);
  });
});

describe("GetLogEvents", () => {
  it("answers the latest page by default and the first from the head, and pages both ways", async () => {
    await setUp();
    await put(...Array.from({ length: 10 }, (_, index) => event(NOW_MS + index)));
    const get = async (input: object): Promise<GetLogEventsResponse & { readonly text: string }> => {
      const page = await call<GetLogEventsResponse>("GetLogEvents", { ...stream, limit: 4, ...input });
      return { ...page, text: page.events?.map((each) => each.message).join(" ") ?? "" };
    };
    const latest = await get({});
    expect(latest.text).toBe("m6 m7 m8 m9");
    expect(latest.nextForwardToken).toMatch(/^f\/\d{56}\/s$/);
    expect(latest.nextBackwardToken).toMatch(/^b\/\d{56}\/s$/);
    const middle = await get({ nextToken: latest.nextBackwardToken });
    expect(middle.text).toBe("m2 m3 m4 m5");
    const oldest = await get({ nextToken: middle.nextBackwardToken });
    expect(oldest.text).toBe("m0 m1");
    const before = await get({ nextToken: oldest.nextBackwardToken });
    expect(before).toMatchObject({ text: "", nextBackwardToken: oldest.nextBackwardToken });
    const head = await get({ startFromHead: true });
    expect(head.text).toBe("m0 m1 m2 m3");
    expect((await get({ startFromHead: true, nextToken: head.nextForwardToken })).text).toBe("m4 m5 m6 m7");
    const end = await get({ nextToken: latest.nextForwardToken });
    expect(end).toMatchObject({ text: "", nextForwardToken: latest.nextForwardToken });
    expect((await get({ startTime: NOW_MS + 2, endTime: NOW_MS + 4, startFromHead: true })).text).toBe("m2 m3");
    await expect(get({ nextToken: "f/1" })).rejects.toMatchObject({ message: "The specified nextToken is invalid." });
    await expect(get({ logStreamName: "none" })).rejects.toMatchObject(NO_STREAM);
    expect(latest.events?.[0]).toEqual({ timestamp: NOW_MS + 6, message: "m6", ingestionTime: NOW_MS });
  });
});

describe("FilterLogEvents", () => {
  it("interleaves streams, pages to a clean end, bounds by both times inclusively", async () => {
    await setUp();
    await call("CreateLogStream", { ...group, logStreamName: "t" });
    for (let index = 0; index < 25; index++) {
      await call("PutLogEvents", { ...group, logStreamName: index % 2 === 0 ? "s" : "t", logEvents: [event(NOW_MS + index)] });
    }
    const seen: (string | undefined)[] = [];
    const ids = new Set<string | undefined>();
    for (let nextToken: string | undefined; ;) {
      const page = await call<FilterLogEventsResponse>("FilterLogEvents", { ...group, interleaved: true, limit: 10, nextToken });
      for (const each of page.events ?? []) {
        seen.push(`${each.logStreamName}:${each.message}`);
        ids.add(each.eventId);
      }
      expect(page.events?.length).toBeGreaterThan(0);
      nextToken = page.nextToken;
      if (nextToken === undefined) break;
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `${index % 2 === 0 ? "s" : "t"}:m${index}`));
    expect(ids.size).toBe(25);
    const between = await call<FilterLogEventsResponse>("FilterLogEvents", {
      ...group,
      startTime: NOW_MS + 3,
      endTime: NOW_MS + 5,
      filterPattern: "?m4 ?m5",
    });
    expect(between.events?.map((each) => each.message)).toEqual(["m4", "m5"]);
    expect(between.searchedLogStreams).toEqual([]);
  });

  it("lets a follower that asks again from its newest event see each later one, by the event ids", async () => {
    await setUp();
    const seen = new Map<string, string>();
    let startTime = 0;
    const poll = async (): Promise<void> => {
      for (let nextToken: string | undefined; ;) {
        const page = await call<FilterLogEventsResponse>("FilterLogEvents", { ...group, interleaved: true, startTime, nextToken, limit: 2 });
        for (const { eventId = "", message = "", timestamp = 0 } of page.events ?? []) {
          seen.set(eventId, message);
          startTime = Math.max(startTime, timestamp);
        }
        nextToken = page.nextToken;
        if (nextToken === undefined) return;
      }
    };
    for (let round = 0; round < 4; round++) {
      await put(event(NOW_MS + 5, `a${round}`), event(NOW_MS + 5, `b${round}`), event(NOW_MS + 5, `c${round}`));
      await poll();
    }
    expect([...seen.values()]).toEqual(["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]);
  });

  it("refuses what it cannot do, by name", async () => {
    await setUp();
    await expect(call("FilterLogEvents", { ...group, filterPattern: "[a, b]" })).rejects.toMatchObject({
      code: "InvalidParameterException",
      message: expect.stringContaining("space-delimited") as string,
    });
    await expect(call("FilterLogEvents", { ...group, logStreamNames: ["s"], logStreamNamePrefix: "s" })).rejects.toMatchObject({
      code: "InvalidParameterException",
    });
    await expect(call("FilterLogEvents", { ...group, logStreamNames: ["none"] })).rejects.toMatchObject(NO_STREAM);
    await expect(call("FilterLogEvents", { logGroupName: "none" })).rejects.toMatchObject(NO_GROUP);
  });
});
