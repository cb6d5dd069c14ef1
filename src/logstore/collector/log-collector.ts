import { dirname } from "node:path";
import type { LogCollector, LogSource, LogStore } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { isProblem } from "../../core/problem.ts";
import { FolderWatch } from "./folder-watch.ts";
import { LogTail } from "./log-tail.ts";

export interface LogCollectorOptions {
  readonly logStore: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long lines are gathered after the first one, so that a chatty container costs few syncs and `tail --follow` feels live. */
const LINGER_MS = 50;
/** Against a file system that tells nothing (or not all): how often every source is looked at. */
const RECHECK_MS = 10_000;
const RETRY_MS = 10_000;

/**
 * Tails containers' CRI logs into their streams: in order, each line once, whatever restarts in between. Woken by inotify.
 * `follow` makes the stream when the group has none of that name, and throws Problem `not-found` when there is no such group.
 * `finish` of a source that is not followed resolves at once: after a restart, `follow` it first.
 */
export function createLogCollector(options: LogCollectorOptions): LogCollector & { close(): Promise<void> } {
  return new FileLogCollector(options);
}

class FileLogCollector implements LogCollector {
  readonly #options: LogCollectorOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #starting = new Map<string, Promise<void>>();
  #recheck: Disposable | undefined;
  #closed = false;

  constructor({ logStore, clock, logger }: LogCollectorOptions) {
    this.#options = { logStore, clock, logger: logger.child({ room: "logstore" }) };
  }

  async follow(source: LogSource): Promise<void> {
    if (this.#closed || this.#followed.has(source.id)) return;
    const starting = this.#starting.get(source.id) ?? this.#start(source).finally(() => this.#starting.delete(source.id));
    this.#starting.set(source.id, starting);
    await starting;
  }

  async finish(sourceId: string): Promise<void> {
    await this.#starting.get(sourceId)?.catch(() => {});
    const followed = this.#followed.get(sourceId);
    if (followed === undefined) return;
    await followed.finish();
    this.#followed.delete(sourceId);
  }

  async lagBytes(): Promise<number> {
    const lags = await Promise.all(Array.from(this.#followed.values(), (followed) => followed.lagBytes()));
    return lags.reduce((sum, bytes) => sum + bytes, 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#recheck?.[Symbol.dispose]();
    await Promise.all(Array.from(this.#followed.values(), (followed) => followed.close()));
    this.#followed.clear();
  }

  async #start(source: LogSource): Promise<void> {
    try {
      await this.#options.logStore.createStream(source.scope, source.stream);
    } catch (error) {
      if (!isProblem(error, "already-exists")) throw error;
    }
    if (this.#closed) return;
    this.#followed.set(source.id, new Followed(source, this.#options));
    this.#recheck ??= this.#scheduleRecheck();
  }

  #scheduleRecheck(): Disposable {
    return this.#options.clock.setTimer(RECHECK_MS, () => {
      for (const followed of this.#followed.values()) followed.recheck();
      this.#recheck = this.#followed.size > 0 && !this.#closed ? this.#scheduleRecheck() : undefined;
    });
  }
}

/** One source: its watch, and a loop that drains its files whenever something stirs. */
class Followed {
  readonly #tail: LogTail;
  readonly #watch: FolderWatch;
  readonly #options: LogCollectorOptions;
  readonly #abort = new AbortController();
  readonly #loop: Promise<void>;
  #stirred = true;
  #finishing = false;
  #wake: () => void = () => {};

  constructor(source: LogSource, options: LogCollectorOptions) {
    this.#options = options;
    this.#tail = new LogTail({ source, ...options, signal: this.#abort.signal });
    this.#watch = new FolderWatch(dirname(source.path), {
      change: () => this.#stir(),
      error: (error) => options.logger.warn("a log folder cannot be watched; it is looked at every 10 s", { key: source.id, err: error }),
    });
    this.#loop = this.#run(source.id);
  }

  lagBytes(): Promise<number> {
    return this.#tail.lagBytes();
  }

  recheck(): void {
    this.#watch.refresh();
    this.#stir();
  }

  /** Resolves when all that is in the files has been stored. */
  async finish(): Promise<void> {
    this.#finishing = true;
    this.#stir();
    await this.#loop;
    this.#watch[Symbol.dispose]();
  }

  async close(): Promise<void> {
    this.#watch[Symbol.dispose]();
    this.#abort.abort();
    this.#wake();
    await this.#loop;
  }

  #stir(): void {
    this.#stirred = true;
    this.#wake();
  }

  async #run(sourceId: string): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const final = this.#finishing;
      this.#stirred = false;
      try {
        await this.#tail.drain(final);
        if (final) break;
        await this.#untilStirred();
        await this.#linger();
      } catch (error) {
        if (signal.aborted) break;
        this.#options.logger.warn("a container's log cannot be read; trying again", { key: sourceId, retryInMs: RETRY_MS, err: error });
        // Opened anew, it goes on from what is committed.
        await this.#tail.close();
        await this.#options.clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
    await this.#tail.close();
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
    await this.#options.clock.sleep(LINGER_MS, hurry.signal).catch(() => {});
    this.#wake = () => {};
  }
}
