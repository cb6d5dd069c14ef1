import type { LogCollector, LogCollectorHealth, LogSource, LogStore, LogWriters } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { isProblem } from "../../core/problem.ts";
import { FollowedLog, type FollowOptions } from "./followed-log.ts";
import { DEFAULT_LIMITS, type LogLimits } from "./log-rotation.ts";
import { Turns } from "./turns.ts";

export interface LogCollectorOptions {
  readonly logStore: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default: nobody, so that no file is rotated but by others. */
  readonly writers?: LogWriters;
  readonly limits?: Partial<LogLimits>;
}

/** Against a file system that tells nothing (or not all): how often every source is looked at. */
const RECHECK_MS = 10_000;
/** Tails that read and store at once; each holds about 4 MiB meanwhile. */
const TURNS = 4;

const NOBODY: LogWriters = { reopen: async () => {}, holds: async () => false };

/**
 * Tails containers' CRI logs into their streams: in order, each line once, whatever restarts in between; rotates them, and removes what is
 * stored. Woken by inotify. A log that floods takes its turns as the others do.
 * `follow` makes the stream when the group has none of that name, and throws Problem `not-found` when there is no such group.
 * `finish` of a source that is not followed resolves at once: after a restart, `follow` it first.
 */
export function createLogCollector(options: LogCollectorOptions): LogCollector & { close(): Promise<void> } {
  return new FileLogCollector(options);
}

class FileLogCollector implements LogCollector {
  readonly #options: FollowOptions;
  readonly #followed = new Map<string, FollowedLog>();
  readonly #starting = new Map<string, Promise<void>>();
  #droppedBytes = 0;
  #lastDrop: LogCollectorHealth["lastDrop"];
  #recheck: Disposable | undefined;
  #closed = false;

  constructor({ logStore, clock, logger, writers = NOBODY, limits }: LogCollectorOptions) {
    this.#options = {
      logStore,
      clock,
      logger: logger.child({ room: "logstore" }),
      writers,
      limits: { ...DEFAULT_LIMITS, ...limits },
      turns: new Turns(TURNS),
      onDropped: (bytes, source) => {
        this.#droppedBytes += bytes;
        this.#lastDrop = { atMs: clock.nowMs(), stream: `${source.scope.group}:${source.stream}` };
      },
    };
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

  health(): LogCollectorHealth {
    return {
      droppedBytes: this.#droppedBytes,
      ...(this.#lastDrop && { lastDrop: this.#lastDrop }),
      failing: [...this.#followed.values()].flatMap((followed) => followed.failing ?? []),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#recheck?.[Symbol.dispose]();
    await Promise.all(Array.from(this.#followed.values(), (followed) => followed.close()));
    this.#followed.clear();
  }

  async #start(source: LogSource): Promise<void> {
    for (const stream of new Set([source.stream, source.stdoutStream ?? source.stream])) {
      try {
        await this.#options.logStore.createStream(source.scope, stream);
      } catch (error) {
        if (isProblem(error, "not-found") && source.createsGroup === true) await this.#createAll(source, stream);
        else if (!isProblem(error, "already-exists")) throw error;
      }
    }
    if (this.#closed) return;
    this.#followed.set(source.id, new FollowedLog(source, this.#options));
    this.#recheck ??= this.#scheduleRecheck();
  }

  async #createAll({ scope, retentionDays }: LogSource, stream: string): Promise<void> {
    const { logStore } = this.#options;
    const createGroup = async (): Promise<void> => {
      await logStore.createGroup(scope, { tags: {} });
      if (retentionDays !== undefined) await logStore.updateGroup(scope, { retentionDays });
    };
    for (const create of [createGroup, () => logStore.createStream(scope, stream)]) {
      await create().catch((error: unknown) => {
        if (!isProblem(error, "already-exists")) throw error;
      });
    }
  }

  #scheduleRecheck(): Disposable {
    return this.#options.clock.setTimer(RECHECK_MS, () => {
      for (const followed of this.#followed.values()) followed.recheck();
      this.#recheck = this.#followed.size > 0 && !this.#closed ? this.#scheduleRecheck() : undefined;
    });
  }
}
