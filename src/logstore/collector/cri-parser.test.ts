import * as fc from "fast-check";
import { expect, it } from "vitest";
import { CriParser, MAX_MESSAGE_BYTES, type ParsedEvent } from "./cri-parser.ts";
import { cutLength } from "./utf8.ts";

const line = (text: string, { tag = "F", stream = "stdout", second = 1 } = {}): string =>
  `${new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString().slice(0, 19)}.123456789Z ${stream} ${tag} ${text}\n`;
const ATMS = Date.UTC(2026, 0, 1, 0, 0, 1, 123);
const timeOf = (second: number): number => ATMS + (second - 1) * 1_000;

function parse(
  text: string | Buffer,
  chunkBytes = 1 << 20,
): { readonly events: readonly ParsedEvent[]; readonly parser: CriParser; readonly toOffset: number } {
  const parser = new CriParser({ file: "a", offset: 0, fallbackMs: 7 });
  const bytes = Buffer.from(text);
  const events: ParsedEvent[] = [];
  let toOffset = 0;
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    parser.feed(bytes.subarray(at, at + chunkBytes));
    for (let progress = parser.take(10_000, 1 << 20); progress !== undefined; progress = parser.take(10_000, 1 << 20)) {
      events.push(...progress.events);
      toOffset = progress.to.offset;
    }
  }
  return { events, parser, toOffset };
}
const messages = (text: string | Buffer, chunkBytes?: number): readonly string[] => parse(text, chunkBytes).events.map((each) => each.message);

it("reads lines with their time in ms, and leaves empty ones out", () => {
  const text = line("one") + line("") + line("  two  ");
  expect(parse(text)).toMatchObject({
    events: [
      { timestampMs: ATMS, message: "one" },
      { timestampMs: ATMS, message: "  two  " },
    ],
    toOffset: text.length,
  });
});

it("joins partial lines, per stream, whatever comes between", () => {
  const text = line("a", { tag: "P" }) + line("err", { stream: "stderr" }) + line("b", { tag: "P" }) + line("c") + line("next");
  expect(messages(text)).toEqual(["err", "abc", "next"]);
});

it("says nothing is safe while a line is unfinished", () => {
  const parser = new CriParser({ file: "a", offset: 0, fallbackMs: 7 });
  parser.feed(Buffer.from(line("a", { tag: "P" }) + line("err", { stream: "stderr" })));
  expect(parser.take(10, 1000)).toBeUndefined();
  parser.feed(Buffer.from(line("b")));
  expect(parser.take(10, 1000)?.events.map((each) => each.message)).toEqual(["err", "ab"]);
});

it("splits long lines at 262118 bytes, never inside a character", () => {
  const exact = "x".repeat(MAX_MESSAGE_BYTES);
  expect(messages(line(exact))).toEqual([exact]);
  expect(messages(line(`${exact}yz`))).toEqual([exact, "yz"]);
  const euros = "€".repeat(200_000);
  const parts = messages(line(euros));
  expect(parts.join("")).toBe(euros);
  expect(Buffer.byteLength(parts[0] ?? "")).toBe(262_116);
});

it("keeps an event within its size when what is no UTF-8 grows", () => {
  const parts = messages(Buffer.concat([Buffer.from(line("").trimEnd() + " "), Buffer.alloc(200_000, 0xff), Buffer.from("\n")]));
  expect(parts.join("")).toBe("\uFFFD".repeat(200_000));
  for (const part of parts) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
});

it("keeps the order of the file when two streams are stamped side by side", () => {
  const events = parse(line("later", { second: 2 }) + line("stamped earlier", { second: 1, stream: "stderr" })).events;
  expect(events.map((each) => each.timestampMs)).toEqual([ATMS + 1_000, ATMS + 1_000]);
});

it("keeps the order when the clock is set back an hour, and catches up at half the pace", () => {
  const HOUR_S = 3_600;
  const texts = [0, 1, 2].map((second) => line(`before ${second}`, { second: HOUR_S + second }));
  const after = Array.from({ length: 9_000 }, (_, second) => line(`after ${second}`, { second: second + 2 }));
  const times = parse(texts.join("") + after.join("")).events.map((each) => each.timestampMs);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(times[3]).toBe(timeOf(HOUR_S + 2));
  expect(times[3 + 1_000]).toBe(timeOf(HOUR_S + 2 + 500));
  // Two hours later the lines carry their own times again.
  expect(times[3 + 7_300]).toBe(timeOf(7_302));
});

it("keeps the order over a restart after the clock was set back, and takes a jump forward as it is", () => {
  const parser = new CriParser({ file: "a", offset: 0, fallbackMs: 7, lastMs: timeOf(3_600) });
  parser.feed(Buffer.from(line("late", { second: 1 }) + line("later", { second: 9_000 })));
  expect(parser.take(10, 1_000)?.events.map((each) => each.timestampMs)).toEqual([timeOf(3_600), timeOf(9_000)]);
});

it("joins a line over the end of a file, and ends one that was torn there", () => {
  const parser = new CriParser({ file: "a", offset: 0, fallbackMs: 7 });
  parser.feed(Buffer.from(line("one ", { tag: "P" })));
  expect(parser.take(10, 1_000)).toBeUndefined();
  parser.beginFile("b");
  const rest = line("two") + line("torn").slice(0, -3);
  parser.feed(Buffer.from(rest));
  expect(parser.take(10, 1_000)).toMatchObject({ events: [{ message: "one two" }], to: { file: "b", offset: line("two").length } });
  parser.beginFile("c");
  parser.feed(Buffer.from(line("whole")));
  const taken = parser.take(10, 1_000);
  expect(taken?.events.map((each) => each.message)).toEqual(["to", "whole"]);
  expect(taken?.to).toEqual({ file: "c", offset: line("whole").length });
});

it("finds the line after one of which a full disk took a part of the head only, wherever that was cut", () => {
  const torn = line("lost");
  for (let length = 1; length < torn.indexOf("lost"); length++) {
    for (const chunkBytes of [1 << 20, 1, 7]) {
      const text = line("before") + torn.slice(0, length) + line("after", { second: 3 }) + line("next", { second: 4 });
      const { events, toOffset } = parse(text, chunkBytes);
      expect(events.map(({ message, timestampMs }) => ({ message, timestampMs }))).toEqual(
        ["before", "after", "next"].map((message, at) => ({ message, timestampMs: timeOf([1, 3, 4][at] ?? 0) })),
      );
      expect(toOffset).toBe(text.length);
    }
  }
});

it("passes on a line without a CRI head as it is", () => {
  expect(messages(`Traceback: oops\n${line("ok")}\na b c d\n`)).toEqual(["Traceback: oops", "ok", "a b c d"]);
});

it("is bounded when one stream never ends its line", () => {
  const parser = new CriParser({ file: "a", offset: 0, fallbackMs: 7 });
  parser.feed(Buffer.from(line("never ended", { tag: "P" })));
  let taken = 0;
  let most = 0;
  for (let count = 0; count < 500; count++) {
    parser.feed(Buffer.from(line("e".repeat(10_000), { stream: "stderr" })));
    taken += parser.take(10_000, 1 << 20)?.events.length ?? 0;
    most = Math.max(most, parser.queuedBytes);
  }
  expect(taken).toBeGreaterThan(300);
  expect(most).toBeLessThan(1.2 * 1024 * 1024);
});

it("may be resumed at each offset it calls safe, losing and repeating nothing, however the bytes come", () => {
  const part = fc.record({
    text: fc.oneof(
      { weight: 6, arbitrary: fc.string({ maxLength: 20 }) },
      { weight: 1, arbitrary: fc.constantFrom("é".repeat(140_000), "x".repeat(300_000)) },
    ),
    tag: fc.constantFrom("F", "F", "P"),
    stream: fc.constantFrom("stdout", "stderr"),
  });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.integer({ min: 1, max: 100_000 }), fc.nat(), (parts, chunkBytes, pick) => {
      const bytes = Buffer.from(parts.map(({ text, ...rest }) => line(text.replaceAll("\n", " "), rest)).join(""));
      const whole = feedWith(bytes, 0, undefined, chunkBytes);
      const stop = whole[pick % Math.max(1, whole.length)];
      if (stop === undefined) return;
      const before = whole.slice(0, (pick % whole.length) + 1).flatMap((progress) => progress.messages);
      const after = feedWith(bytes, stop.toOffset, headAt(bytes, stop.toOffset), chunkBytes).flatMap((progress) => progress.messages);
      const expected = whole.flatMap((progress) => progress.messages);
      expect([...before, ...after].join("\n").length).toBe(expected.join("\n").length);
      expect([...before, ...after]).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});

interface Taken {
  readonly messages: readonly string[];
  readonly toOffset: number;
}

/** Takes one event at a time where it can, and ends unfinished lines at the end. */
function feedWith(bytes: Buffer, offset: number, header: string | undefined, chunkBytes: number): readonly Taken[] {
  const parser = new CriParser({ file: "a", offset, header, fallbackMs: 7 });
  const taken: Taken[] = [];
  const take = (): void => {
    for (let progress = parser.take(1, 1); progress !== undefined; progress = parser.take(1, 1)) {
      taken.push({ messages: progress.events.map((each) => each.message), toOffset: progress.to.offset });
    }
  };
  for (let at = offset; at < bytes.length; at += chunkBytes) {
    parser.feed(bytes.subarray(at, at + chunkBytes));
    take();
  }
  parser.flush();
  take();
  return taken;
}

function headAt(bytes: Buffer, offset: number): string | undefined {
  const start = offset === 0 ? 0 : bytes.lastIndexOf(0x0a, offset - 1) + 1;
  if (start === offset) return undefined;
  return /^(?:\S+ ){3}/.exec(bytes.toString("latin1", start, start + 128))?.[0];
}

it("cuts between characters", () => {
  const bytes = Buffer.from("aé€😀");
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((max) => cutLength(bytes, max))).toEqual([1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10]);
  expect(cutLength(Buffer.alloc(10, 0x80), 5)).toBe(5);
});
