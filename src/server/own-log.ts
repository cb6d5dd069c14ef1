import { messageOf } from "../core/problem.ts";
import type { Logger } from "../core/logger.ts";
import { appendedFile, boundLog, MAX_LOG_BYTES } from "../host/bounded-log.ts";

/** So much is written between two looks at the file's size. */
const LOOK_EVERY_BYTES = 1024 * 1024;

/**
 * Keeps Tidegate's own log small, where `up --detach` leads it: a file in the data folder that is appended to. A terminal, a journal and a
 * file elsewhere are somebody else's to keep.
 */
export class OwnLog {
  readonly #dataDir: string;
  readonly #logger: Logger;
  readonly #descriptor: number;
  readonly #maxBytes: number;
  #unseenBytes = 0;
  #looking: Promise<void> | undefined;

  constructor(options: { readonly dataDir: string; readonly logger: Logger; readonly descriptor?: number; readonly maxBytes?: number }) {
    this.#dataDir = options.dataDir;
    this.#logger = options.logger;
    this.#descriptor = options.descriptor ?? process.stdout.fd;
    this.#maxBytes = options.maxBytes ?? MAX_LOG_BYTES;
  }

  wrote(bytes: number): void {
    this.#unseenBytes += bytes;
    if (this.#unseenBytes >= Math.min(LOOK_EVERY_BYTES, this.#maxBytes)) void this.look();
  }

  /** Never throws. */
  look(): Promise<void> {
    this.#unseenBytes = 0;
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    const path = await appendedFile(this.#descriptor, this.#dataDir);
    if (path === undefined) return;
    try {
      if (await boundLog(path, this.#maxBytes)) this.#logger.info("this log was cut; what it was is beside it, as .1", { path });
    } catch (error) {
      this.#logger.warn("this log cannot be cut", { path, err: messageOf(error) });
    }
  }
}
