import type { LogOptions } from "./routes.ts";

const NEWLINE = 0x0a;
const SPACE = 0x20;

/**
 * Makes of a log's lines, in CRI's format, what the kubelet answers: the text of each that is wanted, its time before it where that is asked for;
 * the pieces of a long line are joined. Ends by itself at its limit.
 */
export class LogLines {
  readonly #options: Omit<LogOptions, "follow" | "previous" | "tailLines" | "sinceSeconds">;
  #left: Buffer = Buffer.alloc(0);
  #remaining: number;
  /** By stream: the line under way was begun, so that its next piece has no time of its own. */
  readonly #begun = new Set<string>();

  constructor(options: Omit<LogOptions, "follow" | "previous" | "tailLines" | "sinceSeconds">) {
    this.#options = options;
    this.#remaining = options.limitBytes ?? Infinity;
  }

  /** As many bytes as may be have been answered. */
  get isFull(): boolean {
    return this.#remaining <= 0;
  }

  /** The answer to the next bytes; a line that is not whole yet waits for the rest. */
  feed(chunk: Buffer): Buffer {
    const bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    const answer: Buffer[] = [];
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE, at); end >= 0 && !this.isFull; end = bytes.indexOf(NEWLINE, at)) {
      answer.push(...this.#line(bytes.subarray(at, end + 1)));
      at = end + 1;
    }
    // Copied, so that a piece does not keep the whole chunk alive.
    this.#left = Buffer.from(bytes.subarray(at));
    return Buffer.concat(answer);
  }

  #line(line: Buffer): readonly Buffer[] {
    const first = line.indexOf(SPACE);
    const second = line.indexOf(SPACE, first + 1);
    const third = line.indexOf(SPACE, second + 1);
    // What has no head is no line of the runtime's.
    if (first < 0 || second < 0 || third < 0) return [];
    const [time, stream, tag] = [
      line.toString("latin1", 0, first),
      line.toString("latin1", first + 1, second),
      line.toString("latin1", second + 1, third),
    ];
    const isPart = tag.startsWith("P");
    const goesOn = this.#begun.has(stream);
    if (isPart) this.#begun.add(stream);
    else this.#begun.delete(stream);
    const { streams, sinceMs, timestamps } = this.#options;
    if (streams !== "All" && stream !== streams.toLowerCase()) return [];
    if (sinceMs !== undefined && Date.parse(time) < sinceMs) return [];
    const text = line.subarray(third + 1, isPart ? line.length - 1 : line.length);
    const pieces = timestamps && !goesOn ? [Buffer.from(`${withNanoseconds(time)} `), text] : [text];
    return pieces.map((piece) => this.#take(piece));
  }

  #take(piece: Buffer): Buffer {
    const taken = piece.subarray(0, Math.max(0, Math.min(piece.length, this.#remaining)));
    this.#remaining -= taken.length;
    return taken;
  }
}

/** The runtime leaves out zeros at the end. */
function withNanoseconds(time: string): string {
  const match = /^([^.Z+]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time);
  return match === null ? time : `${match[1]}.${(match[2] ?? "").padEnd(9, "0")}${match[3]}`;
}
