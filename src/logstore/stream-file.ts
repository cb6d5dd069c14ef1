import { constants } from "node:fs";
import { open, readdir, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { LogBatch, SourcePosition } from "../contracts/log-store.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { makeFolder, syncFolder } from "../host/files.ts";
import { encodeBatch, encodeHead, type BatchHead } from "./frames.ts";
import { Gate } from "./gate.ts";
import {
  indexFrame,
  loadSegment,
  positionKey,
  positionsToStore,
  segmentPath,
  writeSidecar,
  type IndexEntry,
  type Segment,
  type StreamPosition,
} from "./segment.ts";

export interface StreamFileOptions {
  readonly folder: string;
  /** A segment that has reached this gets no more batches. */
  readonly segmentBytes: number;
  /** The oldest segments go when a stream has grown beyond this. */
  readonly maxStreamBytes: number;
  /** Bounds how many syncs run at once, over all streams. */
  readonly syncGate: Gate;
  onCut(removedBytes: number): void;
  /** A new segment begins: the store has grown by about one. */
  onGrown?(): void;
}

interface Pending {
  readonly batch: LogBatch;
  readonly ingestionMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What is written and synced together, at most about. */
const COMMIT_BYTES = 4 * 1024 * 1024;
/** The sidecar is renewed after this much was appended. */
const SIDECAR_EVERY_BYTES = 1024 * 1024;

/** The segments of one stream. Batches that arrive while one is written are written and synced together after it. */
export class StreamFile {
  readonly #options: StreamFileOptions;
  readonly #segments: Segment[] = [];
  readonly #position: StreamPosition = { positions: new Map(), nextSequence: 1, lastIngestionMs: undefined };
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  /** Held by whoever changes the segments. */
  readonly #exclusive = new Gate(1);
  #sidecarLength = 0;
  /** What was read at load may be of a process that was killed before it had synced it. */
  #settled = false;
  /** A write failed: bytes past the segment's length may be there. */
  #tornTail = false;
  #deleted = false;

  private constructor(options: StreamFileOptions) {
    this.#options = options;
  }

  /** Reads the indexes and cuts a torn tail. */
  static async load(options: StreamFileOptions): Promise<StreamFile> {
    const stream = new StreamFile(options);
    const names = await readdir(options.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    for (const name of names.filter((each) => each.endsWith(".seg")).sort()) {
      const number = Number.parseInt(basename(name, ".seg"), 10);
      const segment = await loadSegment(segmentPath(options.folder, number), stream.#position);
      // One whose head was torn holds nothing and will be begun again.
      if (segment.length > 0) stream.#segments.push(segment);
    }
    stream.#tornTail = names.length > 0;
    stream.#sidecarLength = stream.#segments.at(-1)?.length ?? 0;
    return stream;
  }

  /** Up to where the source's lines are stored, for good: what it was read from may be removed up to there. */
  async position(sourceId: string): Promise<SourcePosition | undefined> {
    await this.#exclusive.run(() => this.#options.syncGate.run(() => this.#settle()));
    return this.#standing(sourceId);
  }

  #standing(sourceId: string): SourcePosition | undefined {
    return this.#position.positions.get(sourceId);
  }

  sourceIds(): readonly string[] {
    return [...this.#position.positions.keys()];
  }

  hasSource(sourceId: string): boolean {
    return this.#position.positions.has(sourceId);
  }

  get lastIngestionMs(): number | undefined {
    return this.#position.lastIngestionMs;
  }

  /** The index as it is now; later appends do not change the answer. */
  entries(): readonly (IndexEntry & { readonly path: string })[] {
    return this.#segments.flatMap(({ path, entries }) => entries.map((entry) => ({ path, ...entry })));
  }

  /** Resolves when the batch is durable. @throws Problem `conflict` (not at `from`), `not-found` (deleted), `unavailable` (disk). */
  append(batch: LogBatch, ingestionMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ batch, ingestionMs, resolve, reject });
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    });
  }

  /** Waits for what is under way and leaves a sidecar for a quick load. It can be used on. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#exclusive.run(async () => {
      const last = this.#segments.at(-1);
      if (last === undefined || this.#deleted || last.length === this.#sidecarLength) return;
      await writeSidecar(last, this.#position);
      this.#sidecarLength = last.length;
    });
  }

  async delete(): Promise<void> {
    this.#deleted = true;
    await this.#exclusive.run(async () => {
      this.#segments.length = 0;
      await rm(this.#options.folder, { recursive: true, force: true });
    });
  }

  /** Removes the segments whose events are all older than `beforeMs`; positions stay known. Answers the bytes that went. */
  removeBefore(beforeMs: number): Promise<number> {
    return this.#removeWhere((segment) => segment.entries.length > 0 && segment.entries.every((entry) => entry.maxMs < beforeMs));
  }

  /** Removes segments by their paths, with the events in them; positions stay known. Answers the bytes that went. */
  removeSegments(paths: ReadonlySet<string>): Promise<number> {
    return this.#removeWhere((segment) => segment.entries.length > 0 && paths.has(segment.path));
  }

  #removeWhere(condition: (segment: Segment) => boolean): Promise<number> {
    return this.#exclusive.run(async () => {
      const doomed = this.#segments.filter(condition);
      if (doomed.length === 0 || this.#deleted) return 0;
      // The last segment carries the positions: its successor takes them over first.
      if (doomed.at(-1) === this.#segments.at(-1)) await this.#startSegment();
      return this.#remove(doomed);
    });
  }

  async #write(): Promise<void> {
    // Whatever else this turn of the event loop appends shares the sync.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#pending.length > 0) {
      await this.#exclusive.run(() => this.#options.syncGate.run(() => this.#commit()));
    }
  }

  async #commit(): Promise<void> {
    const taken: Pending[] = [];
    const frames: { readonly bytes: Buffer; readonly head: BatchHead }[] = [];
    const positions = new Map<string, SourcePosition>();
    let sequence = this.#position.nextSequence;
    for (let bytes = 0; this.#pending.length > 0 && bytes < COMMIT_BYTES;) {
      const next = this.#pending.shift() as Pending;
      const refusal = this.#refusal(next.batch, positions);
      if (refusal !== undefined) {
        next.reject(refusal);
        continue;
      }
      const { events, source } = next.batch;
      const frame = encodeBatch({
        firstSequence: sequence,
        ingestionMs: next.ingestionMs,
        events,
        source: source && { id: positionKey(source.id, source.to), toOffset: source.to.offset },
      });
      if (source !== undefined) positions.set(source.id, source.to);
      sequence += events.length;
      bytes += frame.bytes.length;
      frames.push(frame);
      taken.push(next);
    }
    if (taken.length === 0) return;
    try {
      await this.#settle();
      await this.#store(frames);
      for (const each of taken) each.resolve();
    } catch (cause) {
      this.#tornTail = true;
      const problem = new Problem("unavailable", `cannot write log events to ${this.#options.folder}: ${messageOf(cause)}`, { cause });
      for (const each of taken) each.reject(problem);
    }
  }

  #refusal({ source, stream }: LogBatch, positions: ReadonlyMap<string, SourcePosition>): Problem | undefined {
    if (this.#deleted) return new Problem("not-found", `log stream ${stream} has been deleted`);
    if (source === undefined) return undefined;
    const at = positions.get(source.id) ?? this.#standing(source.id);
    if (at?.file === source.from?.file && at?.offset === source.from?.offset) return undefined;
    return new Problem("conflict", `source ${source.id} stands at ${words(at)}, the batch begins at ${words(source.from)}`);
  }

  async #store(frames: readonly { readonly bytes: Buffer; readonly head: BatchHead }[]): Promise<void> {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.length >= this.#options.segmentBytes) {
      segment = await this.#startSegment();
      await this.#cutToCap();
    }
    await this.#writeDurably(
      segment,
      frames.map((each) => each.bytes),
    );
    for (const { bytes, head } of frames) {
      indexFrame(segment, this.#position, { offset: segment.length, length: bytes.length, head });
    }
    if (segment.length - this.#sidecarLength >= SIDECAR_EVERY_BYTES) {
      this.#sidecarLength = segment.length;
      await writeSidecar(segment, this.#position).catch(() => {});
    }
  }

  async #startSegment(): Promise<Segment> {
    const last = this.#segments.at(-1);
    if (last !== undefined) await writeSidecar(last, this.#position);
    const number = last === undefined ? 1 : Number.parseInt(basename(last.path, ".seg"), 10) + 1;
    const segment: Segment = { path: segmentPath(this.#options.folder, number), length: 0, entries: [] };
    if (last === undefined) await makeFolder(this.#options.folder);
    const positions = positionsToStore(this.#position);
    const head = { kind: "head", firstSequence: this.#position.nextSequence, positions } as const;
    const bytes = encodeHead(head);
    await this.#writeDurably(segment, [bytes]);
    await syncFolder(this.#options.folder);
    segment.length = bytes.length;
    this.#segments.push(segment);
    this.#sidecarLength = segment.length;
    this.#options.onGrown?.();
    return segment;
  }

  /** Makes durable what was found at load, once: the next segment and the positions that are given out build on it. */
  async #settle(): Promise<void> {
    const last = this.#segments.at(-1);
    if (!this.#settled && last !== undefined) {
      const file = await open(last.path, "r");
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
      await syncFolder(this.#options.folder);
      await syncFolder(dirname(this.#options.folder));
    }
    this.#settled = true;
  }

  async #writeDurably(segment: Segment, parts: readonly Buffer[]): Promise<void> {
    const file = await open(segment.path, constants.O_RDWR | constants.O_CREAT, 0o640);
    try {
      if (this.#tornTail) await file.truncate(segment.length);
      let at = segment.length;
      for (const part of parts) {
        await writeWhole(file, part, at);
        at += part.length;
      }
      await file.datasync();
      this.#tornTail = false;
    } finally {
      await file.close();
    }
  }

  async #cutToCap(): Promise<void> {
    let total = this.#segments.reduce((sum, segment) => sum + segment.length, 0);
    const doomed: Segment[] = [];
    for (const segment of this.#segments.slice(0, -1)) {
      if (total <= this.#options.maxStreamBytes) break;
      total -= segment.length;
      doomed.push(segment);
    }
    if (doomed.length > 0) this.#options.onCut(await this.#remove(doomed));
  }

  async #remove(doomed: readonly Segment[]): Promise<number> {
    let removed = 0;
    for (const segment of doomed) {
      const at = this.#segments.indexOf(segment);
      if (at < 0) continue;
      this.#segments.splice(at, 1);
      removed += segment.length;
      await rm(segment.path, { force: true });
      await rm(`${segment.path}.idx`, { force: true });
    }
    return removed;
  }
}

/** A disk that fills up takes a part of a write, and says so only at the next one. */
async function writeWhole(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

function words(position: SourcePosition | undefined): string {
  return position === undefined ? "its start" : `${position.offset} of ${position.file}`;
}
