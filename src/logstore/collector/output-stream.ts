import type { LogSource, LogStore, SourcePosition } from "../../contracts/log-store.ts";
import type { Logger } from "../../core/logger.ts";
import { isProblem } from "../../core/problem.ts";
import type { ParsedEvent } from "./cri-parser.ts";

export interface OutputStreamOptions {
  readonly source: LogSource;
  readonly logStore: LogStore;
  readonly logger: Logger;
  readonly stream: string;
}

/**
 * The stream that a log's standard output has to itself. It is written before the log's own stream and keeps a position too: a kill between the two
 * leaves it ahead, and what it has already is left out when it is read again.
 */
export class OutputStream {
  readonly #options: OutputStreamOptions;
  readonly #id: string;
  #at: SourcePosition | undefined;
  /** Up to here, what is read is stored already. */
  #ahead: SourcePosition | undefined;
  #isGone = false;

  constructor(options: OutputStreamOptions) {
    this.#options = options;
    this.#id = `${options.source.id}/stdout`;
  }

  /** Reading begins at `at`; `files`: those that are there, oldest first. */
  async begin({ at, files }: { readonly at: SourcePosition | undefined; readonly files: readonly string[] }): Promise<void> {
    this.#at = (await this.#options.logStore.position(this.#id))?.at;
    this.#ahead = isAhead(this.#at, at, files) ? this.#at : undefined;
  }

  /** @throws as `LogStore.append`. */
  async append(all: readonly ParsedEvent[], to: SourcePosition): Promise<void> {
    const events = this.#unknown(all.filter(({ stream }) => stream === "stdout"));
    if (events.length === 0) return;
    const { source, logStore, logger, stream } = this.#options;
    try {
      await logStore.append(source.scope, { stream, events, source: { id: this.#id, from: this.#at, to } });
      this.#at = to;
    } catch (error) {
      if (!isProblem(error, "not-found")) throw error;
      // Nobody can read what is written to a stream that was deleted; the other one goes on.
      if (!this.#isGone) logger.warn("the log stream of a running container's output is gone; what it writes there is dropped", { key: this.#id });
      this.#isGone = true;
    }
    this.#ahead = undefined;
  }

  #unknown(events: readonly ParsedEvent[]): readonly ParsedEvent[] {
    const ahead = this.#ahead;
    if (ahead === undefined) return events;
    const from = events.findIndex(({ end }) => end.file === ahead.file && end.offset > ahead.offset);
    return from < 0 ? [] : events.slice(from);
  }
}

function isAhead(output: SourcePosition | undefined, at: SourcePosition | undefined, files: readonly string[]): boolean {
  if (output === undefined) return false;
  if (at === undefined) return true;
  if (output.file === at.file) return output.offset > at.offset;
  return files.indexOf(output.file) > files.indexOf(at.file);
}
