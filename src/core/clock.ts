/** Time, injected everywhere so that tests and the simulated engine can move it. All times are milliseconds since the epoch. */
export interface Clock {
  /** Wall-clock time in ms since the epoch. Somebody may set it: for what is told and stored, never for measuring. */
  nowMs(): number;
  /** Runs on evenly whatever becomes of the wall clock. Only differences mean something, within one process: for deadlines, back-offs, durations. */
  steadyMs(): number;
  /** Calls `run` once after `delayMs`; dispose the answer to cancel. Does not keep the process alive. */
  setTimer(delayMs: number, run: () => void): Disposable;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

function sleepWith(clock: Pick<Clock, "setTimer">, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      reject(signal?.reason as Error);
    };
    const timer = clock.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

const MAX_TIMEOUT_MS = 2_147_483_647;

function setKeepingTimer(delayMs: number, run: () => void): Disposable {
  const handle = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_TIMEOUT_MS));
  return { [Symbol.dispose]: () => clearTimeout(handle) };
}

/** The machine's own clock. Its sleeps keep the process alive, its timers do not. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  steadyMs: () => performance.now(),
  setTimer(delayMs, run) {
    const handle = setTimeout(run, Math.min(Math.max(0, delayMs), MAX_TIMEOUT_MS));
    handle.unref();
    return { [Symbol.dispose]: () => clearTimeout(handle) };
  },
  sleep: (delayMs, signal) => sleepWith({ setTimer: setKeepingTimer }, delayMs, signal),
};

interface FakeTimer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** A clock that stands still until `advance`. Timers fire in time order, then in the order they were set. */
export class FakeClock implements Clock {
  #nowMs: number;
  #jumpedMs = 0;
  #order = 0;
  readonly #timers = new Set<FakeTimer>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs + this.#jumpedMs;
  }

  steadyMs(): number {
    return this.#nowMs;
  }

  /** Somebody sets the wall clock, by so much. No timer cares. */
  jump(ms: number): void {
    this.#jumpedMs += ms;
  }

  setTimer(delayMs: number, run: () => void): Disposable {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return sleepWith(this, delayMs, signal);
  }

  /** The delays in ms, from now, of the timers that are set, shortest first. */
  pendingDelaysMs(): readonly number[] {
    return [...this.#timers].map((timer) => timer.atMs - this.#nowMs).sort((a, b) => a - b);
  }

  /** Moves time on by `ms`, firing each timer that falls due, and lets promises settle between them. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
