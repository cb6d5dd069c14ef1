import type { Clock } from "./clock.ts";

const REMEMBERED = 100_000;
/** The two clocks may differ by so much without anybody having set one. */
const DRIFT_MS = 1_000;

/**
 * Tells stored times in the terms that the wall clock has now. A wall clock that is set an hour on, or back, changes how long ago nothing
 * was: a grace neither ends early nor lasts an hour longer. What is asked for first only after the clock was set cannot be known, and counts
 * as it is written.
 */
export class PresentTimes {
  readonly #clock: Clock;
  /** On the steady clock, by the time as it is stored. */
  readonly #known = new Map<number, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A time to come: a deadline. To be compared with the clock's `nowMs`. */
  of(atMs: number): number {
    return this.#present(atMs, Number.POSITIVE_INFINITY);
  }

  /** A time that is over: a start, an end. One that is written as yet to come counts as now. */
  past(atMs: number): number {
    return this.#present(atMs, this.#clock.steadyMs());
  }

  #present(atMs: number, latest: number): number {
    const nowMs = this.#clock.nowMs();
    const steadyNow = this.#clock.steadyMs();
    const steady = this.#known.get(atMs) ?? this.#remember(atMs, Math.min(latest, steadyNow + atMs - nowMs));
    const present = nowMs - (steadyNow - steady);
    return Math.abs(present - atMs) < DRIFT_MS ? atMs : present;
  }

  #remember(atMs: number, steady: number): number {
    this.#known.set(atMs, steady);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.keys().next().value ?? atMs);
    return steady;
  }
}
