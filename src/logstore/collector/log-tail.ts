import { rm, type FileHandle } from "node:fs/promises";
import type { LogSource, LogStore, LogWriters, SourcePosition } from "../../contracts/log-store.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { isProblem } from "../../core/problem.ts";
import { CriParser, MAX_MESSAGE_BYTES, type ParsedEvent, type Progress } from "./cri-parser.ts";
import { recordText } from "./log-record.ts";
import { headerBefore, identityOf, listLogFiles, openLogFile, statLogFile, type LogFile } from "../../host/log-files.ts";
import { OutputStream } from "./output-stream.ts";
import type { Turns } from "./turns.ts";

const BATCH_EVENTS = 10_000;
const BATCH_BYTES = 1024 * 1024;
/** A writer lets go of a file within milliseconds; one that does not in five seconds is not waited for any longer. */
const LET_GO_CHECKS = 250;
const LET_GO_CHECK_MS = 20;

export interface LogTailOptions {
  readonly source: LogSource;
  readonly logStore: LogStore;
  readonly writers: LogWriters;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bounds how many tails read and store at once: each holds a batch meanwhile, and the others wait their turn. */
  readonly turns: Turns;
  /** Ends waits. */
  readonly signal: AbortSignal;
}

interface OpenFile extends LogFile {
  readonly handle: FileHandle;
  /** What positions call it. */
  readonly identity: string;
}

/**
 * Carries one container's log into its stream, from wherever the log store stands. A position names a file (by the time of its first
 * line) and a byte in it, so that rotation, truncation and a restart in between lose and repeat nothing. Files before the position are
 * done with, and removed.
 */
export class LogTail {
  readonly #options: LogTailOptions;
  #file: OpenFile | undefined;
  #parser: CriParser | undefined;
  /** Where the log store stands. */
  #committed: SourcePosition | undefined;
  #reading: Pick<OpenFile, "inode" | "identity"> | undefined;
  /** Bytes of files after the open one that were removed unread. */
  #gapBytes = 0;
  #streamGone = false;
  readonly #output: OutputStream | undefined;

  constructor(options: LogTailOptions) {
    this.#options = options;
    if (options.source.stdoutStream !== undefined) this.#output = new OutputStream({ ...options, stream: options.source.stdoutStream });
  }

  /** The file that is being read, or was last. */
  get reading(): { readonly inode: number } | undefined {
    return this.#reading;
  }

  /** Bytes that are in the files and not in the store yet. */
  async lagBytes(): Promise<number> {
    const reading = this.#reading;
    const files = await listLogFiles(this.#options.source.path);
    const at = files.findIndex((file) => file.inode === reading?.inode);
    if (at < 0) return 0;
    const bytes = files.slice(at).reduce((sum, file) => sum + file.sizeBytes, 0);
    return Math.max(0, bytes - (this.#committed?.file === reading?.identity ? (this.#committed?.offset ?? 0) : 0));
  }

  /** Says that files after the one that is read were removed: the stream gets a line about it. */
  noteGap(bytes: number): void {
    this.#gapBytes += bytes;
  }

  /**
   * Ships what is there. With `final` there will be no more: an unfinished last line becomes an event. Not to be called twice at once.
   * After it threw, `close`: the next call goes on from what is committed.
   * @throws Problem `unavailable` when events cannot be stored.
   */
  async drain(final: boolean): Promise<void> {
    for (;;) {
      const file = this.#file ?? (await this.#open());
      if (file === undefined) return;
      if (!(await this.#readToEnd(file))) continue;
      const next = await this.#successorOf(file);
      if (next === undefined && !final) return;
      try {
        // A writer that was sent on may still have lines for the old file.
        await this.#letGo(file);
        if (!(await this.#readToEnd(file))) continue;
        if (next === undefined) {
          this.#parser?.flush();
          if (!(await this.#options.turns.run(() => this.#commitAll()))) continue;
          return await this.close();
        }
      } catch (error) {
        await next?.handle.close();
        throw error;
      }
      await this.#moveTo(next);
    }
  }

  /** Lets go of the file; what is not committed will be read again. */
  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#parser = undefined;
    await file?.handle.close();
  }

  /** Opens where the log store stands: the file of the position, else the oldest that has a line; `undefined` when there is none. */
  async #open(): Promise<OpenFile | undefined> {
    const { logStore, source, clock } = this.#options;
    const stored = await logStore.position(source.id);
    const committed = this.#streamGone ? this.#committed : stored?.at;
    const file = (committed && (await this.#openWhere((identity) => identity === committed.file))) ?? (await this.#openWhere(() => true));
    if (file === undefined) return undefined;
    this.#file = file;
    this.#reading = file;
    this.#committed = committed;
    // A power cut may leave less of the file than was read of it.
    const offset = committed?.file === file.identity ? Math.min(committed.offset, file.sizeBytes) : 0;
    const header = await headerBefore(file.handle, offset);
    this.#parser = new CriParser({ file: file.identity, offset, header, fallbackMs: clock.nowMs(), lastMs: stored?.lastEventMs });
    await this.#output?.begin({ at: committed, files: await this.#identities() });
    await this.#removeDone();
    return file;
  }

  /** Of the files that are there, oldest first. */
  async #identities(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const { path } of await listLogFiles(this.#options.source.path)) {
      const handle = await openLogFile(path);
      if (handle === undefined) continue;
      try {
        const identity = await identityOf(handle);
        if (identity !== undefined) found.push(identity);
      } finally {
        await handle.close();
      }
    }
    return found;
  }

  async #openWhere(wanted: (identity: string) => boolean, after?: LogFile): Promise<OpenFile | undefined> {
    for (;;) {
      const found = await this.#openListed(wanted, after);
      if (found !== "moved") return found;
    }
  }

  /** `moved`: files were rotated between the list and a look at one of them, so that the wanted one may have been passed over. */
  async #openListed(wanted: (identity: string) => boolean, after?: LogFile): Promise<OpenFile | "moved" | undefined> {
    const files = await listLogFiles(this.#options.source.path);
    const begin = after === undefined ? 0 : files.findIndex((each) => each.inode === after.inode && each.device === after.device) + 1;
    for (const file of files.slice(begin)) {
      const handle = await openLogFile(file.path);
      if (handle === undefined) return "moved";
      const { ino, size } = await handle.stat();
      const identity = await identityOf(handle);
      if (identity !== undefined && ino === file.inode && wanted(identity)) return { ...file, sizeBytes: size, handle, identity };
      await handle.close();
      if (ino !== file.inode) return "moved";
    }
    return undefined;
  }

  /** The next file, once it has a line. */
  async #successorOf(file: OpenFile): Promise<OpenFile | undefined> {
    const current = await statLogFile(this.#options.source.path);
    if (current?.inode === file.inode && current.device === file.device) return undefined;
    return this.#openWhere((identity) => identity !== file.identity, file);
  }

  async #moveTo(next: OpenFile): Promise<void> {
    await this.#file?.handle.close();
    this.#file = next;
    this.#reading = next;
    if (this.#gapBytes > 0) {
      this.#parser?.note(`[tidegate] ${this.#gapBytes} bytes of log lines were dropped here: they came faster than they could be stored.`);
      this.#gapBytes = 0;
    }
    this.#parser?.beginFile(next.identity);
  }

  /** Resolves when no writer has the file open any more: it will not grow. */
  async #letGo(file: OpenFile): Promise<void> {
    const { writers, clock, signal, logger, source } = this.#options;
    for (let checks = 0; checks < LET_GO_CHECKS; checks++) {
      if (!(await writers.holds(file))) return;
      await clock.sleep(LET_GO_CHECK_MS, signal);
    }
    logger.warn("a log file that was rotated, or whose container has ended, is still open", { key: source.id });
  }

  /** Removes the files before the one that the store stands in. */
  async #removeDone(): Promise<void> {
    const committed = this.#committed;
    if (committed === undefined || this.#file?.identity !== committed.file || this.#options.source.isObserved === true) return;
    const files = await listLogFiles(this.#options.source.path);
    const at = files.findIndex((each) => each.inode === this.#file?.inode);
    for (const { path } of files.slice(0, Math.max(0, at))) await rm(path, { force: true });
  }

  /** Reads and commits until there is nothing more. Answers false when the file has to be opened anew. */
  async #readToEnd(file: OpenFile): Promise<boolean> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      const outcome = await this.#options.turns.run((buffer) => this.#readSome(file, buffer));
      if (outcome !== "more") return outcome === "end";
    }
  }

  async #readSome({ handle }: OpenFile, buffer: Buffer): Promise<"more" | "end" | "anew"> {
    const parser = this.#parser;
    if (parser === undefined) return "anew";
    if ((await handle.stat()).size < parser.offset) {
      this.#options.logger.info("a container's log was truncated; reading from its start", { key: this.#options.source.id });
      await this.close();
      return "anew";
    }
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, parser.offset);
      parser.feed(buffer.subarray(0, bytesRead));
      const full = parser.queuedBytes >= BATCH_BYTES || parser.queuedEvents >= BATCH_EVENTS;
      if (!full && bytesRead > 0) continue;
      if (!(await this.#commitAll())) return "anew";
      return bytesRead === 0 ? "end" : "more";
    }
  }

  async #commitAll(): Promise<boolean> {
    for (;;) {
      const progress = this.#parser?.take(BATCH_EVENTS, BATCH_BYTES);
      if (progress === undefined) return true;
      if (!(await this.#commit(progress))) return false;
    }
  }

  /** Answers false when the store stands elsewhere than we do: read again from there. */
  async #commit({ events: all, to }: Progress): Promise<boolean> {
    const { source, logStore, logger } = this.#options;
    const before = this.#committed;
    try {
      // First, so that the position says of both streams that they are stored.
      await this.#output?.append(all, to);
      const events = all
        .filter(({ stream }) => !(stream === "stdout" && this.#output !== undefined) && !(stream === "stderr" && source.dropsStderr))
        .flatMap((event) => shipped(event, source));
      await logStore.append(source.scope, { stream: source.stream, events, source: { id: source.id, from: before, to } });
      this.#streamGone = false;
    } catch (error) {
      if (isProblem(error, "conflict")) {
        await this.close();
        return false;
      }
      if (!isProblem(error, "not-found")) throw error;
      // Nobody can read what is written to a group or stream that was deleted.
      if (!this.#streamGone) logger.warn("the log stream of a running container is gone; what it writes is dropped", { key: source.id, err: error });
      this.#streamGone = true;
    }
    this.#committed = to;
    if (before !== undefined && before.file !== to.file) await this.#removeDone();
    return true;
  }
}

/** What of a line is stored. A record that would be too long for an event is the line alone. */
function shipped(event: ParsedEvent, { format }: LogSource): readonly { readonly timestampMs: number; readonly message: string }[] {
  if (format === undefined) return [event];
  const message = recordText(event, format);
  if (message === undefined || message === "") return [];
  return [{ timestampMs: event.timestampMs, message: Buffer.byteLength(message) > MAX_MESSAGE_BYTES ? event.message : message }];
}
