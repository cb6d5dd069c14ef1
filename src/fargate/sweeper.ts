import { messageOf } from "../core/problem.ts";
import type { ComputeContext } from "./compute-context.ts";
import { lookForLeftovers, planSweep, sweep } from "./sweep.ts";

/** containerd needs a moment to take back what a caller that is gone had asked for; only then it shows what is left of it. */
const SETTLE_MS = 10_000;

/** Sweeps once more when the dust of a start, or of a containerd that came back, has settled. Nothing is adopted then: the pool is at work. */
export class Sweeper {
  readonly #context: ComputeContext;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(context: ComputeContext) {
    this.#context = context;
  }

  /** Calls while one waits share it. */
  soon(): void {
    if (this.#closed) return;
    const { clock, logger } = this.#context;
    this.#timer ??= clock.setTimer(SETTLE_MS, () => {
      this.#timer = undefined;
      this.#sweep().catch((error: unknown) => logger.warn("the sweep failed; the next start sweeps again", { err: messageOf(error) }));
    });
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  async #sweep(): Promise<void> {
    const facts = await lookForLeftovers(this.#context, { adoptable: () => false });
    if (!this.#closed) await sweep(this.#context, planSweep(facts));
  }
}
