import type { FileHandle } from "node:fs/promises";
import { listLogFiles, openLogFile, type LogFile } from "../../host/log-files.ts";
import { LogLines } from "./log-lines.ts";
import type { LogOptions } from "./routes.ts";

const CHUNK_BYTES = 64 * 1024;

export interface LogToRead {
  /** Of the current file; rotated ones are beside it. */
  readonly path: string;
  readonly options: LogOptions;
  readonly nowMs: number;
  /** Whether somebody may still write it. */
  readonly isOpen: () => Promise<boolean>;
  /** Resolves when there may be more, or after a while; rejects when nobody listens any more. */
  readonly wake: () => Promise<void>;
  /** Resolves when more may be given; rejects when nobody listens any more. */
  readonly write: (bytes: Buffer) => Promise<void>;
}

/** Answers a container's log: all files of it that are there, oldest first, then, where that is asked for, what comes until its writer ends. */
export async function readLog(log: LogToRead): Promise<void> {
  const { path, options, nowMs, isOpen, wake, write } = log;
  const sinceMs = options.sinceSeconds === undefined ? options.sinceMs : nowMs - options.sinceSeconds * 1000;
  const lines = new LogLines({ ...options, sinceMs });
  let at: Position | undefined = await startOf(await listLogFiles(path), options.tailLines);
  let file = at === undefined ? undefined : await openLogFile(at.file.path);
  try {
    for (;;) {
      const wasOpen = options.follow && (await isOpen());
      // What is there now, through all files.
      for (;;) {
        if (file !== undefined && at !== undefined) at = await drain(file, at, { lines, write });
        if (lines.isFull) return;
        const next = nextAfter(await listLogFiles(path), at);
        if (next === undefined) break;
        // The one before may have got more between its end and the look at what follows.
        if (file !== undefined && at !== undefined) await drain(file, at, { lines, write });
        await file?.close();
        at = { file: next, offset: 0 };
        file = await openLogFile(next.path);
      }
      if (!wasOpen) return;
      await wake();
    }
  } finally {
    await file?.close();
  }
}

interface Position {
  readonly file: LogFile;
  readonly offset: number;
}

async function drain(
  file: FileHandle,
  at: Position,
  { lines, write }: { readonly lines: LogLines; readonly write: LogToRead["write"] },
): Promise<Position> {
  let { offset } = at;
  while (!lines.isFull) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, offset);
    if (bytesRead === 0) break;
    offset += bytesRead;
    const answer = lines.feed(buffer.subarray(0, bytesRead));
    if (answer.length > 0) await write(answer);
  }
  return { ...at, offset };
}

/** Files are told by their inodes, whatever they are called by now. */
function nextAfter(files: readonly LogFile[], at: Position | undefined): LogFile | undefined {
  if (at === undefined) return files[0];
  const index = files.findIndex(({ inode, device }) => inode === at.file.inode && device === at.file.device);
  return files[index + 1];
}

/** Where the last `tailLines` lines begin; the first byte of all where that is not asked for. */
async function startOf(files: readonly LogFile[], tailLines: number | undefined): Promise<Position | undefined> {
  const first = files[0];
  if (first === undefined || tailLines === undefined) return first && { file: first, offset: 0 };
  let missing = tailLines;
  for (const file of files.toReversed()) {
    const opened = await openLogFile(file.path);
    if (opened === undefined) continue;
    try {
      const found = await startOfLast(opened, file.sizeBytes, missing);
      if (found.offset !== undefined) return { file, offset: found.offset };
      missing -= found.lines;
    } finally {
      await opened.close();
    }
  }
  return { file: first, offset: 0 };
}

/** Where the last `count` lines of a file begin; without one, how many it has. */
async function startOfLast(file: FileHandle, sizeBytes: number, count: number): Promise<{ readonly offset?: number; readonly lines: number }> {
  let lines = 0;
  for (let end = sizeBytes; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    for (let index = bytesRead - 1; index >= 0; index--) {
      if (buffer[index] !== 0x0a) continue;
      if (lines === count) return { offset: start + index + 1, lines };
      lines++;
    }
    end = start;
  }
  return lines === count && count === 0 ? { offset: 0, lines } : { lines };
}
