import { expect, test } from "vitest";
import { LogLines } from "./log-lines.ts";

const LOG = [
  "2026-01-01T00:00:00.5Z stdout F one",
  "2026-01-01T00:00:01.000000001Z stderr F two, on stderr",
  "2026-01-01T00:00:02Z stdout P a line ",
  "2026-01-01T00:00:02.1Z stderr F between",
  "2026-01-01T00:00:03Z stdout P in three ",
  "2026-01-01T00:00:04Z stdout F pieces",
  "2026-01-01T00:00:05+01:00 stdout F ",
  "",
].join("\n");
const USUAL = { timestamps: false, streams: "All" } as const;

test("the text of each line, whatever the pieces that it comes in", () => {
  const whole = "one\ntwo, on stderr\na line between\nin three pieces\n\n";
  for (const size of [1, 7, 64, 4096]) {
    const lines = new LogLines(USUAL);
    let answer = "";
    for (let at = 0; at < LOG.length; at += size) answer += lines.feed(Buffer.from(LOG.slice(at, at + size))).toString();
    expect(answer, `in pieces of ${size}`).toBe(whole);
  }
});

test("with times, once a line", () => {
  expect(new LogLines({ timestamps: true, streams: "Stdout" }).feed(Buffer.from(LOG)).toString()).toBe(
    ["2026-01-01T00:00:00.500000000Z one", "2026-01-01T00:00:02.000000000Z a line in three pieces", "2026-01-01T00:00:05.000000000+01:00 ", ""].join(
      "\n",
    ),
  );
});

test("since a time, from one stream, up to a number of bytes", () => {
  const answer = (options: Partial<ConstructorParameters<typeof LogLines>[0]>): string =>
    new LogLines({ ...USUAL, ...options }).feed(Buffer.from(LOG)).toString();
  expect(answer({ streams: "Stderr" })).toBe("two, on stderr\nbetween\n");
  expect(answer({ sinceMs: Date.UTC(2026, 0, 1, 0, 0, 3) })).toBe("in three pieces\n");
  expect(answer({ limitBytes: 6 })).toBe("one\ntw");
  const lines = new LogLines({ ...USUAL, limitBytes: 4 });
  lines.feed(Buffer.from(LOG));
  expect(lines.isFull).toBe(true);
});
