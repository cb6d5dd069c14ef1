import { crc32 } from "node:zlib";

/**
 * A segment file is a row of frames: `u32 length, u32 crc32, payload` (little endian; length and checksum are the payload's). A payload is
 * `u32 size of its JSON, JSON, body`. The first frame of a segment is its head; each other one is a batch of events, whole or not there.
 */

/** Carried into each new segment, so that older ones may go. */
export interface SegmentHead {
  readonly kind: "head";
  /** Sequence number of the segment's first event. */
  readonly firstSequence: number;
  /** Committed position of each source at the segment's start, by `positionKey`. */
  readonly positions: Readonly<Record<string, number>>;
}

export interface StoredEvent {
  readonly sequence: number;
  readonly timestampMs: number;
  readonly ingestionMs: number;
  readonly message: string;
}

/** What a batch frame's JSON holds. */
export interface BatchHead {
  readonly kind: "batch";
  readonly firstSequence: number;
  readonly count: number;
  readonly ingestionMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Of the messages, as CloudWatch counts: UTF-8 and 26 bytes each. */
  readonly sizeBytes: number;
  /** The position that is committed with the events; the id is `positionKey`'s. */
  readonly source?: { readonly id: string; readonly toOffset: number };
}

export interface Frame {
  readonly offset: number;
  readonly length: number;
  readonly head: SegmentHead | BatchHead;
  readonly body: Buffer;
}

/** CloudWatch counts this much for each event beside its message. */
export const EVENT_OVERHEAD_BYTES = 26;
const PREFIX_BYTES = 8;
const EVENT_PREFIX_BYTES = 12;

function frame(head: SegmentHead | BatchHead, body: readonly Buffer[]): Buffer {
  const json = Buffer.from(JSON.stringify(head));
  const length = 4 + json.length + body.reduce((sum, part) => sum + part.length, 0);
  const prefix = Buffer.alloc(PREFIX_BYTES + 4);
  prefix.writeUInt32LE(length, 0);
  prefix.writeUInt32LE(json.length, PREFIX_BYTES);
  const whole = Buffer.concat([prefix, json, ...body]);
  whole.writeUInt32LE(crc32(whole.subarray(PREFIX_BYTES)), 4);
  return whole;
}

export function encodeHead(head: Omit<SegmentHead, "kind">): Buffer {
  return frame({ kind: "head", ...head }, []);
}

export interface BatchToEncode {
  readonly firstSequence: number;
  readonly ingestionMs: number;
  /** At least one, unless there is a source whose position moves past lines that hold nothing. */
  readonly events: readonly { readonly timestampMs: number; readonly message: string }[];
  /** The position that is committed with the events; the id is `positionKey`'s. */
  readonly source?: { readonly id: string; readonly toOffset: number };
}

export function encodeBatch(batch: BatchToEncode): { readonly bytes: Buffer; readonly head: BatchHead } {
  const lengths = batch.events.map(({ message }) => Buffer.byteLength(message));
  const textBytes = lengths.reduce((sum, length) => sum + length, 0);
  const body = Buffer.allocUnsafe(textBytes + lengths.length * EVENT_PREFIX_BYTES);
  let minMs = Infinity;
  let maxMs = -Infinity;
  let at = 0;
  for (const [index, { timestampMs, message }] of batch.events.entries()) {
    const length = lengths[index] ?? 0;
    body.writeDoubleLE(timestampMs, at);
    body.writeUInt32LE(length, at + 8);
    body.write(message, at + EVENT_PREFIX_BYTES);
    at += EVENT_PREFIX_BYTES + length;
    minMs = Math.min(minMs, timestampMs);
    maxMs = Math.max(maxMs, timestampMs);
  }
  const sizeBytes = textBytes + lengths.length * EVENT_OVERHEAD_BYTES;
  if (batch.events.length === 0) minMs = maxMs = batch.ingestionMs;
  const { firstSequence, ingestionMs, source } = batch;
  const head: BatchHead = { kind: "batch", firstSequence, count: batch.events.length, ingestionMs, minMs, maxMs, sizeBytes, source };
  return { bytes: frame(head, [body]), head };
}

/** The whole and sound frames of `bytes`, up to the first that is not; `baseOffset` is where `bytes` begins in the file. */
export function* framesIn(bytes: Buffer, baseOffset: number): Generator<Frame> {
  let at = 0;
  while (at + PREFIX_BYTES + 4 <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    const end = at + PREFIX_BYTES + length;
    if (length < 4 || end > bytes.length) return;
    const payload = bytes.subarray(at + PREFIX_BYTES, end);
    if (crc32(payload) !== bytes.readUInt32LE(at + 4)) return;
    const jsonEnd = 4 + payload.readUInt32LE(0);
    const head = JSON.parse(payload.toString("utf8", 4, jsonEnd)) as SegmentHead | BatchHead;
    yield { offset: baseOffset + at, length: end - at, head, body: payload.subarray(jsonEnd) };
    at = end;
  }
}

export function eventsOf(head: BatchHead, body: Buffer): readonly StoredEvent[] {
  const events: StoredEvent[] = [];
  for (let at = 0; events.length < head.count;) {
    const size = body.readUInt32LE(at + 8);
    const start = at + EVENT_PREFIX_BYTES;
    events.push({
      sequence: head.firstSequence + events.length,
      timestampMs: body.readDoubleLE(at),
      ingestionMs: head.ingestionMs,
      message: body.toString("utf8", start, start + size),
    });
    at = start + size;
  }
  return events;
}
