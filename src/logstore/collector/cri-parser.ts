import type { SourcePosition } from "../../contracts/log-store.ts";
import { EVENT_OVERHEAD_BYTES } from "../frames.ts";
import { cutLength } from "./utf8.ts";

/** The longest message of an event; a longer line becomes several events. */
export const MAX_MESSAGE_BYTES = 262_144 - EVENT_OVERHEAD_BYTES;
/** Events are held back for an unfinished line of the other stream up to this; then that line is cut where it is. */
const HELD_BYTES = 1024 * 1024;
/** Times that go back by less than this keep the order of the lines; who set the clock further back wants other times. */
const SLEWED_MS = 24 * 3_600_000;
const HEADER = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::\S*)? $/;
/** The head of a line, or its beginning, after what a full disk has taken of the head of the line before. */
const AFTER_TORN = /(?<=.)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (?:(?:stdout|stderr) (?:[FP](?::\S*)? )?)?$/;
const MAX_HEADER_BYTES = 128;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const FINAL = 0x46;

export interface ParsedEvent {
  readonly timestampMs: number;
  readonly message: string;
  /** `stdout` or `stderr`; empty for a line without a CRI head, and for what is put in. */
  readonly stream: string;
  /** What of the log was read when it was whole. */
  readonly end: SourcePosition;
}

/** Events that may be committed together with the position that they bring the reader to. */
export interface Progress {
  readonly events: readonly ParsedEvent[];
  /** Reading may resume here: at a line's start, or at the first byte of a line's text that is not emitted. */
  readonly to: SourcePosition;
}

/** At a line's start, or with `header` inside the text of that header's line. */
export interface ParserStart extends SourcePosition {
  readonly header?: string;
  /** Stamps lines that have no CRI head. */
  readonly fallbackMs: number;
  /** Of the event before. */
  readonly lastMs?: number;
}

interface QueuedEvent extends ParsedEvent {
  readonly sizeBytes: number;
  /** Where reading may resume once this and all before it are committed; none while another line is unfinished. */
  safe: SourcePosition | undefined;
}

/** What has come of a line that is not finished. */
interface Unfinished {
  readonly timestampMs: number;
  pieces: { readonly bytes: Buffer; readonly offset: number }[];
  length: number;
}

interface OpenLine {
  readonly stream: string;
  readonly timestampMs: number;
  readonly final: boolean;
}

/**
 * Reads a CRI log, file after file: joins partial lines (`P … F`) per stream, across files too, splits what is too long for an event, and
 * says up to which position all is emitted. Empty lines are no events, as the awslogs driver has it. Times never go back: after a clock
 * was set back they run at half the pace until the lines' own times have caught up, so that a reader by time sees the order they were
 * written in. Holds about 1.5 MiB at most beside what is ready to take.
 */
export class CriParser {
  #file: string;
  #offset: number;
  readonly #fallbackMs: number;
  #header = Buffer.alloc(0);
  #line: OpenLine | undefined;
  readonly #unfinished = new Map<string, Unfinished>();
  #queue: QueuedEvent[] = [];
  #queuedBytes = 0;
  /** Bytes of the events after the last safe one. */
  #heldBytes = 0;
  /** Given to the line before; with a fraction while it catches up. */
  #lastMs: number | undefined;
  /** That the line before carried. */
  #lastStampMs: number | undefined;

  constructor(start: ParserStart) {
    this.#file = start.file;
    this.#offset = start.offset;
    this.#fallbackMs = start.fallbackMs;
    this.#lastMs = start.lastMs;
    if (start.header !== undefined) this.#line = this.#readHeader(start.header);
  }

  /** Of the next byte to feed. */
  get offset(): number {
    return this.#offset;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get queuedEvents(): number {
    return this.#queue.length;
  }

  feed(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#line !== undefined) at += this.#feedText(chunk.subarray(at), this.#line);
      else at += this.#feedWholeLine(chunk, at) || this.#feedHeader(chunk.subarray(at));
    }
  }

  /** What is fed next comes from the start of the next file. A line that was cut off by the end of this one ends; partial ones go on. */
  beginFile(file: string): void {
    if (this.#header.length > 0) {
      const header = this.#header;
      this.#header = Buffer.alloc(0);
      this.#line = this.#readHeader(header.toString());
      this.#addText(this.#line, header, this.#offset - header.length);
    }
    const torn = this.#line;
    this.#line = undefined;
    if (torn?.final === true) this.#finish(torn.stream);
    this.#file = file;
    this.#offset = 0;
  }

  /** Puts in an event of our own, after all that was fed; unfinished lines end before it. */
  note(message: string): void {
    this.flush();
    this.#enqueueText(Math.floor(this.#lastMs ?? this.#fallbackMs), message, "");
    this.#markSafe(this.#offset - this.#header.length);
  }

  /** Ends every unfinished line where it is, as an event: no more of it will come, or it holds back too much. */
  flush(): void {
    for (const [stream, line] of this.#unfinished) this.#emit(line, line.length, stream);
    this.#unfinished.clear();
    this.#markSafe(this.#offset - this.#header.length);
  }

  /** The events that may be committed now, at most about as many as the limits say; `undefined` when there are none. Each is answered once. */
  take(maxEvents: number, maxBytes: number): Progress | undefined {
    let count = 0;
    let bytes = 0;
    for (const [index, event] of this.#queue.entries()) {
      bytes += event.sizeBytes;
      if (count > 0 && (index >= maxEvents || bytes > maxBytes)) break;
      if (event.safe !== undefined) count = index + 1;
    }
    const to = this.#queue[count - 1]?.safe;
    if (to === undefined) return undefined;
    const taken = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    this.#queuedBytes -= taken.reduce((sum, event) => sum + event.sizeBytes, 0);
    return { events: taken.map(({ timestampMs, message, stream, end }) => ({ timestampMs, message, stream, end })), to };
  }

  /** The way most lines go, without a copy: whole in the chunk, complete, and short enough. Answers 0 for any other. */
  #feedWholeLine(chunk: Buffer, at: number): number {
    if (this.#header.length > 0) return 0;
    const end = chunk.indexOf(NEWLINE, at);
    if (end < 0) return 0;
    const third = thirdSpace(chunk, at, Math.min(end, at + MAX_HEADER_BYTES));
    if (third < 0 || chunk[third - 1] !== FINAL || end - third > MAX_MESSAGE_BYTES) return 0;
    const line = this.#readHeader(chunk.toString("latin1", at, third + 1));
    if (line.stream === "" || this.#unfinished.has(line.stream)) return 0;
    this.#offset += end + 1 - at;
    if (end > third + 1) this.#enqueueText(line.timestampMs, chunk.toString("utf8", third + 1, end), line.stream);
    this.#lineEnded();
    return end + 1 - at;
  }

  #feedHeader(bytes: Buffer): number {
    let spaces = 0;
    for (const byte of this.#header) if (byte === SPACE) spaces++;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === SPACE) spaces++;
      const whole = byte === SPACE && spaces === 3;
      const broken = byte === NEWLINE || this.#header.length + at >= MAX_HEADER_BYTES;
      if (!whole && !broken) continue;
      const used = whole ? at + 1 : at;
      const header = Buffer.concat([this.#header, bytes.subarray(0, used)]);
      this.#header = Buffer.alloc(0);
      this.#offset += used;
      const after = whole && !HEADER.test(header.toString("latin1")) ? AFTER_TORN.exec(header.toString("latin1")) : null;
      if (after !== null) {
        this.#header = header.subarray(after.index);
        if (!HEADER.test(after[0])) return used;
        this.#header = Buffer.alloc(0);
      }
      this.#line = this.#readHeader(after?.[0] ?? header.toString());
      // No CRI head: the line is text from its first byte.
      if (this.#line.stream === "") this.#addText(this.#line, header, this.#offset - header.length);
      return used;
    }
    this.#header = Buffer.concat([this.#header, bytes]);
    this.#offset += bytes.length;
    return bytes.length;
  }

  #readHeader(header: string): OpenLine {
    const match = HEADER.exec(header);
    if (match === null) return { stream: "", timestampMs: Math.floor(this.#lastMs ?? this.#fallbackMs), final: true };
    const stampMs = Date.parse(match[1] ?? "");
    const timestampMs = Number.isNaN(stampMs) ? (this.#lastMs ?? this.#fallbackMs) : this.#inOrder(stampMs);
    return { stream: match[2] ?? "", timestampMs: Math.floor(timestampMs), final: match[3] === "F" };
  }

  #inOrder(stampMs: number): number {
    const [lastMs = stampMs, lastStampMs = stampMs] = [this.#lastMs, this.#lastStampMs];
    const behind = stampMs < lastMs && lastMs - stampMs < SLEWED_MS;
    this.#lastStampMs = stampMs;
    this.#lastMs = behind ? Math.max(stampMs, lastMs + Math.max(0, stampMs - lastStampMs) / 2) : stampMs;
    return this.#lastMs;
  }

  #feedText(bytes: Buffer, line: OpenLine): number {
    const end = bytes.indexOf(NEWLINE);
    const text = end < 0 ? bytes : bytes.subarray(0, end);
    const offset = this.#offset;
    this.#offset += end < 0 ? text.length : end + 1;
    this.#addText(line, text, offset);
    if (end < 0) return text.length;
    this.#line = undefined;
    if (line.final) this.#finish(line.stream);
    return end + 1;
  }

  #addText(line: OpenLine, text: Buffer, offset: number): void {
    const before = this.#unfinished.get(line.stream);
    const unfinished = before ?? { timestampMs: line.timestampMs, pieces: [], length: 0 };
    if (before === undefined) this.#unfinished.set(line.stream, unfinished);
    // Copied, so that a piece does not keep the whole chunk alive.
    unfinished.pieces.push({ bytes: Buffer.from(text), offset });
    unfinished.length += text.length;
    while (unfinished.length > MAX_MESSAGE_BYTES) this.#splitOff(unfinished, line.stream);
  }

  #splitOff(line: Unfinished, stream: string): void {
    const joined = Buffer.concat(line.pieces.map((piece) => piece.bytes));
    const cut = cutLength(joined, MAX_MESSAGE_BYTES);
    const last = line.pieces.at(-1);
    this.#emit(line, cut, stream);
    const rest = joined.subarray(cut);
    if (last === undefined || rest.length > last.bytes.length) {
      // The rest began before the last piece (a character was kept whole): no offset stands for it.
      line.pieces = [{ bytes: rest, offset: last?.offset ?? this.#offset }];
    } else {
      const offset = last.offset + last.bytes.length - rest.length;
      line.pieces = [{ bytes: rest, offset }];
      if (this.#unfinished.size === 1) this.#markSafe(offset);
    }
    line.length = rest.length;
  }

  #finish(stream: string): void {
    const line = this.#unfinished.get(stream);
    if (line !== undefined) this.#emit(line, line.length, stream);
    this.#unfinished.delete(stream);
    this.#lineEnded();
  }

  #lineEnded(): void {
    if (this.#unfinished.size === 0) this.#markSafe(this.#offset);
    else if (this.#heldBytes > HELD_BYTES) this.flush();
  }

  #emit(line: Unfinished, length: number, stream: string): void {
    if (length === 0) return;
    this.#enqueueText(line.timestampMs, Buffer.concat(line.pieces.map((piece) => piece.bytes)).toString("utf8", 0, length), stream);
  }

  #enqueueText(timestampMs: number, text: string, stream: string): void {
    let message = text;
    // What is no UTF-8 became U+FFFD, which takes more bytes.
    let length = Buffer.byteLength(message);
    for (; length > MAX_MESSAGE_BYTES; length = Buffer.byteLength(message)) {
      const bytes = Buffer.from(message);
      const cut = cutLength(bytes, MAX_MESSAGE_BYTES);
      this.#enqueue({ timestampMs, message: bytes.toString("utf8", 0, cut), stream }, cut);
      message = bytes.toString("utf8", cut);
    }
    this.#enqueue({ timestampMs, message, stream }, length);
  }

  #enqueue(event: Omit<ParsedEvent, "end">, length: number): void {
    const sizeBytes = length + EVENT_OVERHEAD_BYTES;
    this.#queue.push({ ...event, end: { file: this.#file, offset: this.#offset }, sizeBytes, safe: undefined });
    this.#queuedBytes += sizeBytes;
    this.#heldBytes += sizeBytes;
  }

  #markSafe(offset: number): void {
    const last = this.#queue.at(-1);
    if (last !== undefined) last.safe = { file: this.#file, offset };
    this.#heldBytes = 0;
  }
}

/** Where the third space from `at` stands; -1 when it is not before `end`. */
function thirdSpace(bytes: Buffer, at: number, end: number): number {
  const first = bytes.indexOf(SPACE, at);
  const second = first < 0 ? -1 : bytes.indexOf(SPACE, first + 1);
  const third = second < 0 ? -1 : bytes.indexOf(SPACE, second + 1);
  return third < end ? third : -1;
}
