import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";

/** What an effect answers: done, or to be launched again, not before a delay. */
export type EffectResult = void | { readonly againAfterMs: number };

export interface EffectsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when an effect has ended, so that the workload is planned again. */
  readonly wake: () => void;
  readonly signal: AbortSignal;
}

const FIRST_BACK_OFF_MS = 200;
const LONGEST_BACK_OFF_MS = 30_000;

/**
 * The effects of one workload that are under way, by name. A reconcile launches and returns; the end of an effect wakes the workload. All
 * of it is lost when Tidegate ends, and launched again by the next plan: effects are idempotent.
 */
export class Effects {
  readonly #options: EffectsOptions;
  readonly #running = new Set<string>();
  readonly #waits = new Map<string, { readonly failures: number; readonly untilMs: number }>();

  constructor(options: EffectsOptions) {
    this.#options = options;
  }

  /** Whether the effect of this name is under way. */
  busy(name: string): boolean {
    return this.#running.has(name);
  }

  /** Whether an effect whose name starts with `prefix` is under way. */
  anyBusy(prefix: string): boolean {
    for (const name of this.#running) if (name.startsWith(prefix)) return true;
    return false;
  }

  /** Starts `effect` unless it is under way or waits for its next try. What it throws is logged and tried again with back-off. */
  launch(name: string, effect: () => Promise<EffectResult>): void {
    const { clock, signal } = this.#options;
    if (signal.aborted || this.#running.has(name)) return;
    if ((this.#waits.get(name)?.untilMs ?? 0) > clock.steadyMs()) return;
    this.#running.add(name);
    void this.#run(name, effect);
  }

  /**
   * When, on the steady clock, the first of the effects that wait beyond `afterMs` may be launched again; those due before had their chance,
   * or are needed no more.
   */
  nextTryAtMs(afterMs: number): number | undefined {
    const times = [...this.#waits.values()].map((wait) => wait.untilMs).filter((untilMs) => untilMs > afterMs);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Lets everything that waits be launched at once: something happened. */
  nudge(): void {
    this.#waits.clear();
  }

  async #run(name: string, effect: () => Promise<EffectResult>): Promise<void> {
    const { clock, logger, signal, wake } = this.#options;
    try {
      const result = await effect();
      if (result === undefined) this.#waits.delete(name);
      else this.#waits.set(name, { failures: 0, untilMs: clock.steadyMs() + result.againAfterMs });
    } catch (error) {
      const failures = (this.#waits.get(name)?.failures ?? 0) + 1;
      const backOffMs = Math.min(LONGEST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** Math.min(failures - 1, 20));
      this.#waits.set(name, { failures, untilMs: clock.steadyMs() + backOffMs });
      if (!signal.aborted) logger.warn("a step of a workload failed; it will be tried again", { step: name, retryInMs: backOffMs, err: error });
    } finally {
      this.#running.delete(name);
      if (!signal.aborted) wake();
    }
  }
}
