import { constants } from "node:fs";
import { appendFile, open, readdir, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf } from "../../core/problem.ts";

/** Below CRI's part of containerd's state folder: the pipes of each container's output. */
const CONTAINERS = "io.containerd.grpc.v1.cri/containers";
const STREAMS = ["stdout", "stderr"] as const;
/** How long containerd may take to let go of the pipes of a container that has ended. */
const LET_GO_MS = 30_000;
const LET_GO_CHECK_MS = 5;
/** The shim, once it runs again, gives up what nobody reads after 2 s. */
const READ_MS = 10_000;
const READ_CHECK_MS = 5;
/** More than pipe and FIFO can hold: who writes on has not ended. */
const MOST_BYTES = 4 * 1024 * 1024;
/** As containerd cuts lines here (`max_container_log_line_size`). */
const LINE_BYTES = 16_384;
const [NEWLINE, RETURN] = [0x0a, 0x0d];

export interface OutputRestsOptions {
  /** containerd's state folder. */
  readonly state: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether containerd has a file open. */
  readonly hasOpen: (file: { readonly device: number; readonly inode: number }) => boolean;
}

type Stream = (typeof STREAMS)[number];

interface Pipe {
  readonly stream: Stream;
  readonly path: string;
  readonly handle: FileHandle;
}

interface Held {
  readonly logFile: string;
  readonly pipes: readonly Pipe[];
  isLetGo: boolean;
  saving?: Promise<void>;
}

/**
 * Whether a containerd closes the output of a container that has ended before it has read it: all before 1.6.22, and 1.7 before 1.7.3.
 * @see https://github.com/containerd/containerd/pull/8643
 */
export function leavesRests(version: string): boolean {
  const [, major = 0, minor = 0, patch = 0] = (/^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  if (major !== 1) return major < 1;
  return minor < 6 || (minor === 6 && patch < 22) || (minor === 7 && patch < 3);
}

/**
 * The ends of containers' outputs that containerd leaves unread in the pipe between the shim and itself. The pipes are held open from
 * before the start; once containerd has let go of one, what is in it goes behind the lines that containerd wrote.
 * A rest whose container ends while Tidegate is down is lost.
 */
export class OutputRests {
  readonly #options: OutputRestsOptions;
  readonly #held = new Map<string, Held>();

  constructor(options: OutputRestsOptions) {
    this.#options = options;
  }

  /** Idempotent. Of a container without pipes nothing is held. */
  async hold(id: string, logFile: string): Promise<void> {
    if (this.#held.has(id)) return;
    const held = { logFile, pipes: await this.#open(id), isLetGo: false };
    // Two callers may have got here.
    if (this.#held.has(id) || held.pipes.length === 0) return closeAll(held);
    this.#held.set(id, held);
  }

  /** The container's process has ended: resolves when the rest of its output is in its log. `isLetGo`: CRI shows it as ended, so containerd reads no more. */
  async save(id: string, { isLetGo }: { readonly isLetGo: boolean }): Promise<void> {
    const held = this.#held.get(id);
    if (held === undefined) return;
    held.isLetGo ||= isLetGo;
    held.saving ??= this.#save(id, held).finally(() => delete held.saving);
    return held.saving;
  }

  async close(): Promise<void> {
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.all(all.map(closeAll));
  }

  async #open(id: string): Promise<readonly Pipe[]> {
    const folder = join(this.#options.state, CONTAINERS, id, "io");
    const [inner] = await readdir(folder).catch(() => []);
    if (inner === undefined) return [];
    const opened = await Promise.all(
      STREAMS.map(async (stream) => {
        const path = join(folder, inner, `${id}-${stream}`);
        // Without O_NONBLOCK this would wait for the shim.
        const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
        return handle === undefined ? [] : [{ stream, path, handle }];
      }),
    );
    return opened.flat();
  }

  async #save(id: string, held: Held): Promise<void> {
    if (!(await this.#areLetGo(held))) return;
    try {
      const rests = await Promise.all(held.pipes.map(async (pipe) => ({ stream: pipe.stream, bytes: await this.#restOf(pipe) })));
      if (rests.some(({ bytes }) => bytes.length > 0)) await this.#append(held.logFile, rests);
    } catch (error) {
      this.#options.logger.warn("the end of a container's output could not be saved", { containerId: id, err: messageOf(error) });
    } finally {
      this.#held.delete(id);
      await closeAll(held);
    }
  }

  /** containerd removes the pipes' names right after it has closed them. */
  async #areLetGo(held: Held): Promise<boolean> {
    const { clock } = this.#options;
    const deadlineMs = clock.steadyMs() + LET_GO_MS;
    while (!held.isLetGo && !(await areGone(held.pipes))) {
      if (clock.steadyMs() > deadlineMs) return false;
      await clock.sleep(LET_GO_CHECK_MS);
    }
    return true;
  }

  /** To the end, which is when the shim has passed on all that was written. */
  async #restOf({ handle }: Pipe): Promise<Buffer> {
    const { clock } = this.#options;
    const deadlineMs = clock.steadyMs() + READ_MS;
    const chunks: Buffer[] = [];
    for (let totalBytes = 0; totalBytes < MOST_BYTES && clock.steadyMs() < deadlineMs;) {
      const chunk = await readNow(handle);
      if (chunk?.length === 0) break;
      if (chunk === undefined) await clock.sleep(READ_CHECK_MS);
      else chunks.push(chunk);
      totalBytes += chunk?.length ?? 0;
    }
    return Buffer.concat(chunks);
  }

  /** containerd still writes what it has read. */
  async #append(logFile: string, rests: readonly { readonly stream: Stream; readonly bytes: Buffer }[]): Promise<void> {
    const { clock, hasOpen } = this.#options;
    const deadlineMs = clock.steadyMs() + LET_GO_MS;
    for (;;) {
      const file = await stat(logFile).catch(() => undefined);
      if (file === undefined || !hasOpen({ device: file.dev, inode: file.ino }) || clock.steadyMs() > deadlineMs) break;
      await clock.sleep(LET_GO_CHECK_MS);
    }
    const atMs = clock.nowMs();
    await appendFile(logFile, Buffer.concat(rests.flatMap(({ stream, bytes }) => logLines(bytes, { stream, atMs }))));
  }
}

/** What is written after a line that containerd could not end (`P`) is the rest of that line: readers join them. */
export function logLines(bytes: Buffer, { stream, atMs }: { readonly stream: Stream; readonly atMs: number }): readonly Buffer[] {
  const lines: Buffer[] = [];
  const head = `${new Date(atMs).toISOString()} ${stream}`;
  const add = (tag: "F" | "P", text: Buffer): void => void lines.push(Buffer.from(`${head} ${tag} `), text, Buffer.from("\n"));
  for (let at = 0; at < bytes.length;) {
    const newline = bytes.indexOf(NEWLINE, at);
    const end = newline < 0 ? bytes.length : newline;
    const text = bytes.subarray(at, Math.min(end, at + LINE_BYTES));
    const isWhole = newline >= 0 && end - at <= LINE_BYTES;
    add(isWhole ? "F" : "P", isWhole && text.at(-1) === RETURN ? text.subarray(0, -1) : text);
    at += text.length + (isWhole ? 1 : 0);
  }
  return lines;
}

/** `undefined` when nothing is there yet, no bytes when nobody will write any more. */
async function readNow(handle: FileHandle): Promise<Buffer | undefined> {
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536, null);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
    throw error;
  }
}

async function areGone(pipes: readonly Pipe[]): Promise<boolean> {
  const there = await Promise.all(
    pipes.map(({ path }) =>
      stat(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return !there.includes(true);
}

async function closeAll({ pipes }: Held): Promise<void> {
  await Promise.allSettled(pipes.map(({ handle }) => handle.close()));
}
