import { readFile } from "node:fs/promises";
import type { StopReason } from "../contracts/engine.ts";
import type { Store, Stored } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";
import { WORKLOADS, type WorkloadRecord } from "./records.ts";
import { requestStop } from "./request-stop.ts";

const LOOK_EVERY_MS = 10_000;

/** @see ECS: "Amazon ECS task stopped: Spot interruption" */
export const SPOT_INTERRUPTED: StopReason = { code: "SpotInterruption", reason: "Your Spot Task was interrupted." };

export interface SpotReclaimOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What processes may still take without swapping. */
  readonly availableMiB: () => Promise<number>;
  /** When less is available, Spot workloads end. */
  readonly reserveMiB: number;
}

/**
 * Ends FARGATE_SPOT workloads when the host's memory runs short: each gets SIGTERM and its own grace, the newest first, one a look, until
 * enough is available. Only while there are such workloads is anything looked at.
 */
export class SpotReclaim implements Disposable {
  readonly #options: SpotReclaimOptions;
  readonly #watch: Disposable;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(options: SpotReclaimOptions) {
    this.#options = options;
    this.#watch = options.store.watch(WORKLOADS, ({ value }) => {
      if (value !== undefined && isRunningSpot(value)) this.#arm();
    });
    void this.#whileAny(async () => (await this.#running()).length > 0);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
  }

  #arm(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = this.#options.clock.setTimer(LOOK_EVERY_MS, () => {
      this.#timer = undefined;
      void this.#whileAny(() => this.#look());
    });
  }

  /** A look that fails, as on a full disk, says nothing of what runs: it is made again. */
  async #whileAny(look: () => Promise<boolean>): Promise<void> {
    try {
      if (await look()) this.#arm();
    } catch (error) {
      if (this.#closed) return;
      this.#options.logger.error("Spot workloads could not be looked at; it is tried again", { err: messageOf(error) });
      this.#arm();
    }
  }

  async #running(): Promise<readonly Stored<WorkloadRecord>[]> {
    return (await this.#options.store.list(WORKLOADS)).filter(({ value }) => isRunningSpot(value));
  }

  /** Answers whether there is any left to look at. */
  async #look(): Promise<boolean> {
    const { availableMiB, reserveMiB, logger } = this.#options;
    const running = await this.#running();
    const available = await availableMiB();
    const chosen = available < reserveMiB ? pickSpot(running.map(({ value }) => value)) : undefined;
    if (chosen !== undefined) {
      logger.warn("the host's memory runs short: a Spot task is interrupted", { taskId: chosen.workload.id, availableMiB: available, reserveMiB });
      await requestStop(this.#options, chosen.workload.id, SPOT_INTERRUPTED);
    }
    return running.length > (chosen === undefined ? 0 : 1);
  }
}

function isRunningSpot({ workload, stop }: WorkloadRecord): boolean {
  return workload.spot && stop === undefined;
}

/** The newest: it has done the least. Pure. */
export function pickSpot(records: readonly WorkloadRecord[]): WorkloadRecord | undefined {
  return records.filter(isRunningSpot).toSorted((a, b) => b.acceptedAtMs - a.acceptedAtMs)[0];
}

/** As the kernel reckons it. */
export async function hostAvailableMiB(): Promise<number> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"))?.[1];
  return kib === undefined ? Infinity : Math.floor(Number(kib) / 1024);
}
