import type { Clock } from "../core/clock.ts";

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** The delay after the first failure; doubles with each one in a row. Default 100 ms. */
  readonly firstBackOffMs?: number;
  /** The longest delay between two tries. Default 30 s. */
  readonly longestBackOffMs?: number;
}

export interface WorkQueueState {
  /** Keys that wait for a worker. */
  readonly ready: number;
  /** Keys that are being worked on. */
  readonly running: number;
  /** Keys that come back when their delay is over. */
  readonly delayed: number;
  /** Failures in a row, for each key whose last try failed. */
  readonly failures: ReadonlyMap<string, number>;
}

/**
 * Keys to work on, first in, first out. A key that is added many times before it is taken is worked on once; one that is added while it is
 * worked on comes again when that is done, never twice at once.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #firstBackOffMs: number;
  readonly #longestBackOffMs: number;
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while running. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, { readonly atMs: number; readonly timer: Disposable }>();
  readonly #failures = new Map<string, number>();
  #waiting: ((key: string | undefined) => void)[] = [];
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#clock = options.clock;
    this.#firstBackOffMs = options.firstBackOffMs ?? 100;
    this.#longestBackOffMs = options.longestBackOffMs ?? 30_000;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#running.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#ready.add(key);
    this.#serve();
  }

  /** Adds the key when `delayMs` have passed; the earliest of several counts. Taking the key before then cancels it. */
  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) return this.add(key);
    if (this.#closed) return;
    const atMs = this.#clock.steadyMs() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.atMs <= atMs) return;
    before?.timer[Symbol.dispose]();
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { atMs, timer });
  }

  /** Counts a failure and adds the key after the back-off that is due. Answers that delay in ms. */
  addAfterFailure(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const delayMs = Math.min(this.#longestBackOffMs, this.#firstBackOffMs * 2 ** Math.min(failures - 1, 30));
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** The key's failures are history: the next one starts at the first back-off. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** The next key, as soon as there is one; `undefined` once the queue is closed. Call `done` when the work on it ends. */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#serve();
    });
  }

  done(key: string): void {
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Drops what waits and ends each `take`. Work that runs goes on. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#delayed.values()) timer[Symbol.dispose]();
    this.#delayed.clear();
    this.#ready.clear();
    this.#again.clear();
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }

  state(): WorkQueueState {
    return { ready: this.#ready.size, running: this.#running.size, delayed: this.#delayed.size, failures: new Map(this.#failures) };
  }

  #serve(): void {
    for (const key of this.#ready) {
      const resolve = this.#waiting.shift();
      if (resolve === undefined) return;
      this.#ready.delete(key);
      this.#running.add(key);
      this.#delayed.get(key)?.timer[Symbol.dispose]();
      this.#delayed.delete(key);
      resolve(key);
    }
  }
}
