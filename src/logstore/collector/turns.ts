import { Gate } from "../gate.ts";

const CHUNK_BYTES = 256 * 1024;

/** Lets at most `width` tails read and store at once, first come, first served, each with a buffer to read into. */
export class Turns {
  readonly #gate: Gate;
  readonly #buffers: Buffer[] = [];

  constructor(width: number) {
    this.#gate = new Gate(width);
  }

  /** The task must not keep the buffer. */
  run<T>(task: (buffer: Buffer) => Promise<T>): Promise<T> {
    return this.#gate.run(async () => {
      const buffer = this.#buffers.pop() ?? Buffer.allocUnsafe(CHUNK_BYTES);
      try {
        return await task(buffer);
      } finally {
        this.#buffers.push(buffer);
      }
    });
  }
}
