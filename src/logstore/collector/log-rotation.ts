import { rename, rm } from "node:fs/promises";
import type { LogSource, LogWriters } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { listLogFiles, nextRotatedPath, statLogFile, type LogFile } from "../../host/log-files.ts";

export interface LogLimits {
  /** A log file that has reached this is rotated away. */
  readonly rotateBytes: number;
  /** What of one container's rotated files may wait to be stored; beyond it the oldest that nobody reads yet go. */
  readonly backlogBytes: number;
}

export const DEFAULT_LIMITS: LogLimits = { rotateBytes: 10 * 1024 * 1024, backlogBytes: 128 * 1024 * 1024 };

/** Between two looks at a log that is being written. */
const LOOK_EVERY_MS = 200;

export interface LogRotationOptions {
  readonly source: LogSource;
  readonly writers: LogWriters;
  readonly limits: LogLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the file that is being read: it stays. */
  readonly readingInode: () => number | undefined;
  readonly onDropped: (bytes: number) => void;
}

/**
 * Keeps the files of one log small. The rename is the intent: a log without a current file is half rotated, by whoever did it, and its
 * writer is told to go on in a new one. Files go by `LogTail` once they are stored; here only those that came faster than they could be.
 */
export class LogRotation {
  readonly #options: LogRotationOptions;
  #looking: Promise<void> | undefined;
  #lookedAtMs = -Infinity;
  /** Whether there were rotated files at the last look; so it is taken to be before the first. */
  #rotated = true;

  constructor(options: LogRotationOptions) {
    this.#options = options;
  }

  /** Looks at the files, unless it just did; with `now` in any case. */
  look({ now = false }: { readonly now?: boolean } = {}): void {
    const { clock, logger, source } = this.#options;
    const nowMs = clock.steadyMs();
    if (source.isObserved === true) return;
    const lately = nowMs - this.#lookedAtMs < LOOK_EVERY_MS;
    if (this.#looking !== undefined || (lately && !now)) return;
    this.#lookedAtMs = nowMs;
    this.#looking = this.#look()
      .catch((error: unknown) => logger.warn("a container's log cannot be rotated; trying again", { key: source.id, err: error }))
      .finally(() => (this.#looking = undefined));
  }

  /** Resolves when no look is under way. */
  async settled(): Promise<void> {
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { source, writers, limits } = this.#options;
    // The usual case, which comes with most lines that are written, costs one look.
    const size = (await statLogFile(source.path))?.sizeBytes ?? Infinity;
    if (!this.#rotated && size < limits.rotateBytes) return;
    const files = await listLogFiles(source.path);
    const current = files.find((file) => file.path === source.path);
    const rotated = files.filter((file) => file !== current);
    if (current !== undefined && current.sizeBytes >= limits.rotateBytes) {
      const path = nextRotatedPath(source.path, rotated);
      await rename(source.path, path);
      rotated.push({ ...current, path });
      await writers.reopen(source.id);
    } else if (current === undefined && rotated.length > 0) {
      await writers.reopen(source.id);
    }
    this.#rotated = rotated.length > 0;
    await this.#bound(rotated);
  }

  async #bound(rotated: readonly LogFile[]): Promise<void> {
    const { limits, readingInode, onDropped, logger, source } = this.#options;
    const reading = readingInode();
    let waiting = rotated.reduce((sum, file) => sum + file.sizeBytes, 0);
    let dropped = 0;
    // The last may still be written.
    for (const file of rotated.slice(0, -1)) {
      // Not before it is known which file is read: those before it are stored already.
      if (waiting <= limits.backlogBytes || reading === undefined) break;
      if (file.inode === reading) continue;
      await rm(file.path, { force: true });
      waiting -= file.sizeBytes;
      dropped += file.sizeBytes;
    }
    if (dropped === 0) return;
    logger.warn("log lines were dropped: a container writes faster than its log can be stored", { key: source.id, droppedBytes: dropped });
    onDropped(dropped);
  }
}
