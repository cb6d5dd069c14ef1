import { dirname } from "node:path";
import type { LogCollectorHealth, LogSource, LogStore, LogWriters } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf } from "../../core/problem.ts";
import { FolderWatch } from "../../host/folder-watch.ts";
import { LogRotation, type LogLimits } from "./log-rotation.ts";
import { LogTail } from "./log-tail.ts";
import type { Turns } from "./turns.ts";

export interface FollowOptions {
  readonly logStore: LogStore;
  readonly writers: LogWriters;
  readonly limits: LogLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly turns: Turns;
  readonly onDropped: (bytes: number, source: LogSource) => void;
}

/** How long lines are gathered after the first one, so that a chatty container costs few syncs and `tail --follow` feels live. */
const LINGER_MS = 50;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** One source: its watch, its rotation, and a loop that drains its files whenever something stirs. */
export class FollowedLog {
  readonly #source: LogSource;
  readonly #tail: LogTail;
  readonly #rotation: LogRotation;
  readonly #watch: FolderWatch;
  readonly #options: FollowOptions;
  readonly #abort = new AbortController();
  readonly #loop: Promise<void>;
  #failing: { readonly sinceMs: number; readonly error: string } | undefined;
  #stirred = true;
  #finishing = false;
  #wake: () => void = () => {};

  constructor(source: LogSource, options: FollowOptions) {
    this.#source = source;
    this.#options = options;
    this.#tail = new LogTail({ source, ...options, signal: this.#abort.signal });
    this.#rotation = new LogRotation({
      source,
      ...options,
      readingInode: () => this.#tail.reading?.inode,
      onDropped: (bytes) => {
        this.#tail.noteGap(bytes);
        options.onDropped(bytes, source);
      },
    });
    this.#watch = new FolderWatch(dirname(source.path), {
      change: () => this.#stir(),
      error: (error) => options.logger.warn("a log folder cannot be watched; it is looked at every 10 s", { key: source.id, err: error }),
    });
    this.#rotation.look();
    this.#loop = this.#run();
  }

  lagBytes(): Promise<number> {
    return this.#tail.lagBytes();
  }

  get failing(): LogCollectorHealth["failing"][number] | undefined {
    return this.#failing && { stream: `${this.#source.scope.group}:${this.#source.stream}`, ...this.#failing };
  }

  recheck(): void {
    this.#watch.refresh();
    this.#rotation.look({ now: true });
    this.#stir();
  }

  /** Resolves when all that is in the files has been stored. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await this.#rotation.settled();
    this.#stir();
    await this.#loop;
    this.#watch[Symbol.dispose]();
  }

  async close(): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#abort.abort();
    this.#wake();
    await this.#loop;
    await this.#rotation.settled();
  }

  #stir(): void {
    this.#stirred = true;
    if (!this.#finishing) this.#rotation.look();
    this.#wake();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    for (let retryInMs = FIRST_RETRY_MS; !signal.aborted;) {
      const final = this.#finishing;
      this.#stirred = false;
      try {
        await this.#tail.drain(final);
        this.#failing = undefined;
        retryInMs = FIRST_RETRY_MS;
        if (final) break;
        await this.#untilStirred();
        await this.#linger();
      } catch (error) {
        if (signal.aborted) break;
        await this.#retreat(error, retryInMs);
        retryInMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS);
      }
    }
    await this.#tail.close();
  }

  /** Opened anew, the tail goes on from what is committed. */
  async #retreat(error: unknown, retryInMs: number): Promise<void> {
    const { clock, logger } = this.#options;
    logger.warn("a container's log cannot be stored; trying again", { key: this.#source.id, retryInMs, err: error });
    this.#failing = { sinceMs: this.#failing?.sinceMs ?? clock.nowMs(), error: messageOf(error) };
    await this.#tail.close();
    await this.#pause(retryInMs, this.#abort.signal);
  }

  /** Shorter when it is aborted. */
  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.clock.sleep(delayMs, signal);
    } catch {
      // said by the signal
    }
  }

  async #untilStirred(): Promise<void> {
    if (this.#stirred || this.#finishing || this.#abort.signal.aborted) return;
    await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#wake = () => {};
  }

  async #linger(): Promise<void> {
    if (this.#finishing || this.#abort.signal.aborted) return;
    const hurry = new AbortController();
    this.#wake = () => {
      if (this.#finishing || this.#abort.signal.aborted) hurry.abort();
    };
    await this.#pause(LINGER_MS, hurry.signal);
    this.#wake = () => {};
  }
}
