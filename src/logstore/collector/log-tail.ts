import { type FileHandle, stat } from "node:fs/promises";
import type { LogSource, LogStore } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { isProblem } from "../../core/problem.ts";
import { CriParser, type Progress } from "./cri-parser.ts";
import { headerBefore, identityOf, inodeOf, listLogFiles, openLogFile } from "./log-files.ts";

const CHUNK_BYTES = 256 * 1024;
const BATCH_EVENTS = 10_000;
const BATCH_BYTES = 1024 * 1024;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

export interface LogTailOptions {
  readonly source: LogSource;
  readonly logStore: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends retries. */
  readonly signal: AbortSignal;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly inode: number;
  /** Source id of this file's position: the source and the file's identity. */
  readonly positionId: string;
  readonly parser: CriParser;
  /** Where the log store stands. */
  committed: number;
}

/**
 * Carries one container's log into its stream, from wherever the log store stands. A position belongs to a file (by the time of its first
 * line), so that rotation, truncation and a restart in between lose and repeat nothing.
 */
export class LogTail {
  readonly #options: LogTailOptions;
  #file: OpenFile | undefined;
  /** Identities of files that were read to their end and have a successor. */
  readonly #done = new Set<string>();
  #streamGone = false;

  constructor(options: LogTailOptions) {
    this.#options = options;
  }

  /** Ships what is there. With `final` there will be no more: an unfinished last line becomes an event. Not to be called twice at once. */
  async drain(final: boolean): Promise<void> {
    for (;;) {
      const file = (this.#file ??= await this.#openNext());
      if (file === undefined) return;
      if (await this.#truncated(file)) continue;
      const caughtUp = await this.#readToEnd(file);
      if (!caughtUp) continue;
      const replaced = await this.#hasSuccessor(file);
      if (!replaced && !final) return;
      // Bytes may have come between the end that was read and the look for a successor.
      if (!(await this.#readToEnd(file))) continue;
      file.parser.flush();
      if (!(await this.#commitAll(file))) continue;
      this.#done.add(file.positionId);
      await this.close();
      if (!replaced) return;
    }
  }

  /** Bytes that are in the files and not in the store yet. */
  async lagBytes(): Promise<number> {
    const committed = this.#file?.committed ?? 0;
    const files = await listLogFiles(this.#options.source.path);
    // What comes before the open file has been read to its end; with none open, all has.
    const from = files.findIndex((each) => each.inode === this.#file?.inode);
    const open = from < 0 ? [] : files.slice(from);
    const sizes = await Promise.all(
      open.map(({ path }) =>
        stat(path)
          .then(({ size }) => size)
          .catch(() => 0),
      ),
    );
    return Math.max(0, sizes.reduce((sum, size) => sum + size, 0) - committed);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close();
  }

  /** The oldest file that is not done; `undefined` when there is none with a line in it. */
  async #openNext(): Promise<OpenFile | undefined> {
    for (const { path, inode } of await listLogFiles(this.#options.source.path)) {
      const handle = await openLogFile(path);
      if (handle === undefined) continue;
      const file = await this.#openAt(handle, inode).catch(async (error: unknown) => {
        await handle.close();
        throw error;
      });
      if (file !== undefined) return file;
      await handle.close();
    }
    return undefined;
  }

  /** `undefined` for a file without a line, or that is done. */
  async #openAt(handle: FileHandle, inode: number): Promise<OpenFile | undefined> {
    const identity = await identityOf(handle);
    const positionId = `${this.#options.source.id}@${identity}`;
    if (identity === undefined || this.#done.has(positionId)) return undefined;
    const committed = await this.#options.logStore.position(positionId);
    const header = await headerBefore(handle, committed);
    const parser = new CriParser({ offset: committed, header, fallbackMs: this.#options.clock.nowMs() });
    return { handle, inode, positionId, parser, committed };
  }

  async #truncated(file: OpenFile): Promise<boolean> {
    if ((await file.handle.stat()).size >= file.parser.offset) return false;
    this.#options.logger.info("a container's log was truncated; reading from its start", { key: this.#options.source.id });
    await this.close();
    return true;
  }

  async #hasSuccessor(file: OpenFile): Promise<boolean> {
    if ((await inodeOf(this.#options.source.path)) === file.inode) return false;
    const files = await listLogFiles(this.#options.source.path);
    const at = files.findIndex((each) => each.inode === file.inode);
    return at < files.length - 1;
  }

  /** Reads and commits until there is nothing more. Answers false when the file had to be opened anew. */
  async #readToEnd(file: OpenFile): Promise<boolean> {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      this.#options.signal.throwIfAborted();
      const { bytesRead } = await file.handle.read(chunk, 0, CHUNK_BYTES, file.parser.offset);
      file.parser.feed(chunk.subarray(0, bytesRead));
      const full = file.parser.queuedBytes >= BATCH_BYTES || file.parser.queuedEvents >= BATCH_EVENTS;
      if ((full || bytesRead === 0) && !(await this.#commitAll(file))) return false;
      if (bytesRead === 0) return true;
    }
  }

  async #commitAll(file: OpenFile): Promise<boolean> {
    for (let progress = file.parser.take(BATCH_EVENTS, BATCH_BYTES); progress !== undefined; progress = file.parser.take(BATCH_EVENTS, BATCH_BYTES)) {
      if (!(await this.#commit(file, progress))) return false;
    }
    return true;
  }

  /** Appends until it succeeds. Answers false when the store stands elsewhere than we do: read again from there. */
  async #commit(file: OpenFile, { events, toOffset }: Progress): Promise<boolean> {
    const { source, logStore, clock, logger, signal } = this.#options;
    const batch = { stream: source.stream, events, source: { id: file.positionId, fromOffset: file.committed, toOffset } };
    for (let retryInMs = FIRST_RETRY_MS; ; retryInMs = Math.min(retryInMs * 2, LONGEST_RETRY_MS)) {
      try {
        await logStore.append(source.scope, batch);
        file.committed = toOffset;
        this.#streamGone = false;
        return true;
      } catch (error) {
        if (isProblem(error, "conflict")) {
          await this.close();
          return false;
        }
        if (isProblem(error, "not-found")) {
          // Nobody can read what is written to a group or stream that was deleted.
          if (!this.#streamGone)
            logger.warn("the log stream of a running container is gone; what it writes is dropped", { key: source.id, err: error });
          this.#streamGone = true;
          file.committed = toOffset;
          return true;
        }
        logger.warn("log events cannot be stored; trying again", { key: source.id, retryInMs, err: error });
        await clock.sleep(retryInMs, signal);
      }
    }
  }
}
