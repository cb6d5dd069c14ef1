import { open, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SourcePosition } from "../contracts/log-store.ts";
import { eventsOf, framesIn, type BatchHead, type Frame, type StoredEvent } from "./frames.ts";

/** Neighbouring frames are found together when they are no larger than this. */
const ENTRY_BYTES = 64 * 1024;
/** How much of a file is read at once when it is scanned. */
const SCAN_BYTES = 1024 * 1024;

/** One step of the sparse index: a run of frames, the times in it and its place in the file. */
export interface IndexEntry {
  readonly offset: number;
  readonly length: number;
  readonly firstSequence: number;
  readonly count: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly sizeBytes: number;
}

/** A segment file as it is known in memory. Only what is durable is in it. */
export interface Segment {
  readonly path: string;
  /** Bytes of sound frames; what follows them is a torn tail. */
  length: number;
  readonly entries: IndexEntry[];
}

/** What of a stream is known once its segments are. */
export interface StreamPosition {
  /** By source. */
  readonly positions: Map<string, SourcePosition>;
  nextSequence: number;
  lastIngestionMs: number | undefined;
}

export function segmentPath(folder: string, number: number): string {
  return join(folder, `${String(number).padStart(12, "0")}.seg`);
}

/** A position as frames hold it: a key that names source and file, and the offset. A source has one, its last. */
export function positionKey(sourceId: string, { file }: SourcePosition): string {
  return file === "" ? sourceId : `${sourceId}@${file}`;
}

function setPosition({ positions }: StreamPosition, key: string, offset: number): void {
  const at = key.indexOf("@");
  if (at < 0) positions.set(key, { file: "", offset });
  else positions.set(key.slice(0, at), { file: key.slice(at + 1), offset });
}

/** All positions as frames hold them. */
export function positionsToStore({ positions }: StreamPosition): Readonly<Record<string, number>> {
  return Object.fromEntries(Array.from(positions, ([id, position]) => [positionKey(id, position), position.offset]));
}

/** Takes a durable frame into the index. */
export function indexFrame(segment: Segment, position: StreamPosition, frame: Pick<Frame, "offset" | "length" | "head">): void {
  segment.length = frame.offset + frame.length;
  const { head } = frame;
  if (head.kind === "head") {
    position.nextSequence = head.firstSequence;
    for (const [key, offset] of Object.entries(head.positions)) setPosition(position, key, offset);
    return;
  }
  position.nextSequence = head.firstSequence + head.count;
  if (head.source !== undefined) setPosition(position, head.source.id, head.source.toOffset);
  if (head.count === 0) return;
  position.lastIngestionMs = head.ingestionMs;
  indexBatch(segment, frame, head);
}

function indexBatch(segment: Segment, { offset, length }: Pick<Frame, "offset" | "length">, head: BatchHead): void {
  const { firstSequence, count, minMs, maxMs, sizeBytes } = head;
  const last = segment.entries.at(-1);
  if (last === undefined || last.length + length > ENTRY_BYTES) {
    segment.entries.push({ offset, length, firstSequence, count, minMs, maxMs, sizeBytes });
    return;
  }
  segment.entries[segment.entries.length - 1] = {
    offset: last.offset,
    length: offset + length - last.offset,
    firstSequence: last.firstSequence,
    count: last.count + count,
    minMs: Math.min(last.minMs, minMs),
    maxMs: Math.max(last.maxMs, maxMs),
    sizeBytes: last.sizeBytes + sizeBytes,
  };
}

interface Sidecar {
  readonly version: 1;
  readonly length: number;
  readonly entries: readonly IndexEntry[];
  readonly positions: Readonly<Record<string, number>>;
  readonly nextSequence: number;
  readonly lastIngestionMs?: number;
}

/**
 * Writes the index beside the segment, so that opening it reads only what came after. It is a short cut, never the truth: lost or torn, the
 * segment is scanned.
 */
export async function writeSidecar(segment: Segment, position: StreamPosition): Promise<void> {
  const { nextSequence, lastIngestionMs } = position;
  const positions = positionsToStore(position);
  const sidecar: Sidecar = { version: 1, length: segment.length, entries: segment.entries, positions, nextSequence, lastIngestionMs };
  await writeFile(`${segment.path}.idx.tmp`, JSON.stringify(sidecar));
  await rename(`${segment.path}.idx.tmp`, `${segment.path}.idx`);
}

async function readSidecar(path: string): Promise<Sidecar | undefined> {
  try {
    const sidecar = JSON.parse(await readFile(`${path}.idx`, "utf8")) as Sidecar;
    return sidecar.version === 1 ? sidecar : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a segment's index from its sidecar and what was appended since, and moves `position` on to its end. */
export async function loadSegment(path: string, position: StreamPosition): Promise<Segment> {
  const segment: Segment = { path, length: 0, entries: [] };
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const sidecar = await readSidecar(path);
    if (sidecar !== undefined && sidecar.length <= size) {
      segment.length = sidecar.length;
      segment.entries.push(...sidecar.entries);
      for (const [key, offset] of Object.entries(sidecar.positions)) setPosition(position, key, offset);
      position.nextSequence = sidecar.nextSequence;
      position.lastIngestionMs = sidecar.lastIngestionMs ?? position.lastIngestionMs;
    }
    await scan(file, { size, segment, position });
  } finally {
    await file.close();
  }
  return segment;
}

/** How many bytes of a segment's file are whole and sound frames, each read and checked, whatever a sidecar says. */
export async function soundBytes(path: string): Promise<number> {
  const segment: Segment = { path, length: 0, entries: [] };
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    await scan(file, { size, segment, position: { positions: new Map(), nextSequence: 1, lastIngestionMs: undefined } });
  } finally {
    await file.close();
  }
  return segment.length;
}

interface Scan {
  readonly size: number;
  readonly segment: Segment;
  readonly position: StreamPosition;
}

/** Takes in the frames from the segment's length on, up to the first that is torn. */
async function scan(file: Readable, { size, segment, position }: Scan): Promise<void> {
  for (let wanted = SCAN_BYTES; segment.length < size;) {
    const length = Math.min(wanted, size - segment.length);
    const before = segment.length;
    for (const frame of framesIn(await readExactly(file, before, length), before)) indexFrame(segment, position, frame);
    if (segment.length > before) wanted = SCAN_BYTES;
    else if (length === size - before) break;
    else wanted *= 4;
  }
}

interface Readable {
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

async function readExactly(file: Readable, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let have = 0;
  while (have < length) {
    const { bytesRead } = await file.read(buffer, have, length - have, position + have);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return buffer.subarray(0, have);
}

/** The events of an index entry. None when the segment has been removed meanwhile. */
export async function readEntry(path: string, entry: Pick<IndexEntry, "offset" | "length">): Promise<readonly StoredEvent[]> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return [];
  try {
    const events: StoredEvent[] = [];
    for (const { head, body } of framesIn(await readExactly(file, entry.offset, entry.length), entry.offset)) {
      if (head.kind === "batch") for (const event of eventsOf(head, body)) events.push(event);
    }
    return events;
  } finally {
    await file.close();
  }
}
