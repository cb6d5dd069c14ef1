import type { Hash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { Writable } from "node:stream";

/** How much a transfer may hold in memory on each side. */
export const TRANSFER_BUFFER_BYTES = 1024 * 1024;

/** The disk is put to work after so much, so that little is left to wait for at the end. */
const FLUSH_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * Appends what it is given to an open file and feeds a hash on the way. While a write is under way, up to 1 MiB gathers and is then
 * written at once; beyond that the source has to wait. The file stays open.
 */
export class FileSink extends Writable {
  readonly #file: FileHandle;
  readonly #hash: Hash | undefined;
  #position: number;
  #pending: Promise<void> = Promise.resolve();
  #unflushed = 0;
  #flushing: Promise<void> | undefined;
  #flushFailure: Error | undefined;

  constructor(file: FileHandle, options: { readonly position: number; readonly hash?: Hash | undefined }) {
    super({ highWaterMark: TRANSFER_BUFFER_BYTES });
    this.#file = file;
    this.#hash = options.hash;
    this.#position = options.position;
  }

  /** Where the next byte goes; all before it is written (not yet durable). */
  get position(): number {
    return this.#position;
  }

  /** Resolves when no write is under way, also after the sink was destroyed. */
  async idle(): Promise<void> {
    await this.#pending.catch(() => {});
    await this.#flushing;
  }

  override _writev(chunks: readonly { readonly chunk: unknown }[], callback: (error?: Error | null) => void): void {
    this.#pending = this.#append(chunks.map((entry) => entry.chunk as Buffer));
    void settle(this.#pending, callback);
  }

  async #append(buffers: readonly Buffer[]): Promise<void> {
    // The hash is made here while the kernel copies there.
    const writing = this.#writeAll(buffers);
    if (this.#hash !== undefined) for (const buffer of buffers) this.#hash.update(buffer);
    await writing;
    for (const buffer of buffers) this.#unflushed += buffer.length;
    if (this.#unflushed >= FLUSH_EVERY_BYTES && this.#flushing === undefined) this.#flush();
  }

  /** In the background. The kernel tells of a failed write to disk only once, maybe here, so it is kept for the end. */
  #flush(): void {
    this.#unflushed = 0;
    this.#flushing = this.#file
      .datasync()
      .catch((error: unknown) => void (this.#flushFailure ??= error as Error))
      .finally(() => (this.#flushing = undefined));
  }

  override _final(callback: (error?: Error | null) => void): void {
    void settle(this.#flushed(), callback);
  }

  async #flushed(): Promise<void> {
    await this.#flushing;
    if (this.#flushFailure !== undefined) throw this.#flushFailure;
  }

  async #writeAll(buffers: readonly Buffer[]): Promise<void> {
    let left = buffers;
    while (left.length > 0) {
      let { bytesWritten } = await this.#file.writev([...left], this.#position);
      this.#position += bytesWritten;
      const rest: Buffer[] = [];
      for (const buffer of left) {
        if (bytesWritten < buffer.length) rest.push(buffer.subarray(bytesWritten));
        bytesWritten = Math.max(0, bytesWritten - buffer.length);
      }
      left = rest;
    }
  }
}

/** Tells a stream's callback how `work` ended. */
export async function settle(work: Promise<unknown>, callback: (error?: Error | null) => void): Promise<void> {
  let failure: unknown;
  try {
    await work;
  } catch (error) {
    failure = error;
  }
  callback(failure as Error | undefined);
}
