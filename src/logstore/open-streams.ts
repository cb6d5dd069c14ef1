import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";
import { Gate } from "./gate.ts";
import type { StreamFile } from "./stream-file.ts";

interface OpenStream {
  readonly file: Promise<StreamFile>;
  /** Uses under way: while there are any, the stream stays. */
  users: number;
  usedAtMs: number;
}

/** Nobody used a stream for this long: its index leaves the memory. */
const IDLE_MS = 5 * 60_000;
const LOOK_EVERY_MS = 5 * 60_000;

/**
 * The streams whose index is in memory: loaded when used, dropped when nobody used them for five to ten minutes, so that a stream per task
 * costs memory only while its task writes or somebody reads. There is never more than one `StreamFile` of a stream.
 */
export class OpenStreams {
  readonly #load: (streamId: string) => Promise<StreamFile>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #open = new Map<string, OpenStream>();
  readonly #loadGate = new Gate(4);
  #timer: Disposable | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor({ load, clock, logger }: { readonly load: (streamId: string) => Promise<StreamFile>; readonly clock: Clock; readonly logger: Logger }) {
    this.#load = load;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** How many are in memory. */
  get size(): number {
    return this.#open.size;
  }

  /** Runs `task` with the stream, which stays open until the task has ended. The task must not keep the file for later. */
  async use<T>(streamId: string, task: (file: StreamFile) => T | Promise<T>): Promise<T> {
    const stream = this.#open.get(streamId) ?? this.#begin(streamId);
    stream.users++;
    try {
      return await task(await stream.file);
    } finally {
      stream.users--;
      stream.usedAtMs = this.#clock.steadyMs();
    }
  }

  /** As `use`, for work that passes over all streams: one that was not open is not kept open. */
  async visit<T>(streamId: string, task: (file: StreamFile) => T | Promise<T>): Promise<T> {
    const wasOpen = this.#open.has(streamId);
    try {
      return await this.use(streamId, task);
    } finally {
      if (!wasOpen) await this.#drop(streamId, this.#clock.steadyMs());
    }
  }

  /** Forgets one that has been deleted. */
  forget(streamId: string): void {
    this.#open.delete(streamId);
  }

  /** Ends what is under way, and leaves sidecars for a quick start. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#looking;
    for (const { file } of this.#open.values()) await (await file).close();
  }

  #begin(streamId: string): OpenStream {
    const file = this.#loadGate.run(() => this.#load(streamId));
    const stream: OpenStream = { file, users: 0, usedAtMs: this.#clock.steadyMs() };
    this.#open.set(streamId, stream);
    file.catch(() => this.#open.delete(streamId));
    this.#schedule();
    return stream;
  }

  /** A timer only while something is open. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#clock.setTimer(LOOK_EVERY_MS, () => {
      this.#looking = this.#dropIdle()
        .catch((error: unknown) => this.#logger.error("idle log streams could not be dropped", { err: messageOf(error) }))
        .finally(() => {
          this.#timer = undefined;
          if (this.#open.size > 0) this.#schedule();
        });
    });
  }

  async #dropIdle(): Promise<void> {
    const usedUntilMs = this.#clock.steadyMs() - IDLE_MS;
    for (const streamId of this.#open.keys()) await this.#drop(streamId, usedUntilMs);
  }

  /** Closes first, still in the map: whoever comes meanwhile uses this one, which then stays. */
  async #drop(streamId: string, usedUntilMs: number): Promise<void> {
    const stream = this.#open.get(streamId);
    const idle = (): boolean => stream?.users === 0 && stream.usedAtMs <= usedUntilMs;
    if (stream === undefined || !idle()) return;
    const file = await stream.file;
    await file.close().catch((error: unknown) => this.#logger.warn("a log stream's index was not kept", { key: streamId, err: messageOf(error) }));
    if (idle() && this.#open.get(streamId) === stream) this.#open.delete(streamId);
  }
}
