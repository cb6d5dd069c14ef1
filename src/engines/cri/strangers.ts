import type { Clock } from "../../core/clock.ts";

interface FirstSeen {
  /** On the steady clock. */
  readonly atMs: number;
  /** The newest call that might have made it. */
  readonly call: number;
}

/**
 * Tells what CRI does not know because nobody owns it from what CRI does not know yet: a thing that is still unknown after all the calls
 * that were under way when it was first seen, and after the time that containerd may take to clear up behind a caller that is gone.
 * No clock that somebody may set, and no age of a thing, is asked.
 */
export class Strangers {
  readonly #clock: Clock;
  #seen: ReadonlyMap<string, FirstSeen> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are not judged yet. */
  get size(): number {
    return this.#seen.size;
  }

  /**
   * Of all that is unknown at this look, what is nobody's; it is forgotten, and a stranger again if it is found again.
   * @param look the numbers of `CallsUnderWay`: `oldest` from before CRI was asked what it knows, `begun` from after the things were listed
   */
  judge(unknown: Iterable<string>, look: { readonly oldest: number; readonly begun: number; readonly quietMs: number }): ReadonlySet<string> {
    const nowMs = this.#clock.steadyMs();
    const seen = new Map<string, FirstSeen>();
    const nobodys = new Set<string>();
    for (const name of unknown) {
      const first = this.#seen.get(name) ?? { atMs: nowMs, call: look.begun };
      if (look.oldest > first.call && nowMs - first.atMs >= look.quietMs) nobodys.add(name);
      else seen.set(name, first);
    }
    this.#seen = seen;
    return nobodys;
  }
}
