import type { ContainerStats } from "../../contracts/engine.ts";

const MOST_KEPT = 10_000;
/** A rate over less says little. */
const SHORTEST_MS = 500;

/** How fast CPU is used, from one look at a counter to the next. */
export class CpuRates {
  readonly #last = new Map<string, ContainerStats & { readonly nanoCores?: number }>();

  /** In billionths of a CPU, since the look before; `undefined` at the first. */
  take(key: string, stats: ContainerStats): number | undefined {
    const before = this.#last.get(key);
    const tookMs = stats.atMs - (before?.atMs ?? stats.atMs);
    if (before !== undefined && tookMs < SHORTEST_MS) return before.nanoCores;
    const nanoCores = before === undefined ? undefined : Math.max(0, ((stats.cpuUsageNanos - before.cpuUsageNanos) / tookMs) * 1000);
    if (this.#last.size >= MOST_KEPT) this.#last.clear();
    this.#last.set(key, { ...stats, ...(nanoCores !== undefined && { nanoCores }) });
    return nanoCores;
  }
}
