import { stat } from "node:fs/promises";
import type { Clock } from "../core/clock.ts";
import { run } from "../host/run.ts";
import { pruneBuilderState } from "./storage.ts";

const GIB = 1024 ** 3;
const DAY_MS = 24 * 60 * 60_000;
const MEASURE_TIMEOUT_MS = 300_000;

/** Of the builder's own cache: so much at most, and no longer than that without a build. */
const LARGEST_CACHE_BYTES = 10 * GIB;
const LARGEST_CACHE_SHARE = 0.1;
const LONGEST_IDLE_MS = 7 * DAY_MS;

/** Whether a cache has outgrown its bound, a tenth of its disk and at most 10 GiB, or nobody built anything for a week. Pure. */
export function isCacheDue(cache: { readonly sizeBytes: number; readonly idleMs: number }, disk: { readonly totalBytes: number }): boolean {
  return cache.idleMs > LONGEST_IDLE_MS || cache.sizeBytes > Math.min(LARGEST_CACHE_BYTES, LARGEST_CACHE_SHARE * disk.totalBytes);
}

/** Keeps the builder's own cache within its bound. Layers of one image rest on one another, so it goes whole, and the next build makes it anew. */
export class BuilderCache {
  readonly #folder: string;
  readonly #clock: Clock;
  /** What it measured after the last build; nothing, once it was emptied. */
  #known: { readonly builtMs: number; readonly sizeBytes: number } | undefined;

  /** @param folder the builders' state. */
  constructor(folder: string, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /** Empties the cache where it is due; answers whether it did. While a build runs it waits for the next look. */
  async trim(disk: { readonly totalBytes: number }): Promise<boolean> {
    // Each build makes a folder there and removes it.
    const builtMs = (await stat(this.#folder).catch(() => undefined))?.mtimeMs;
    if (builtMs === undefined) return false;
    const sizeBytes = this.#known?.builtMs === builtMs ? this.#known.sizeBytes : await measure(this.#folder);
    this.#known = { builtMs, sizeBytes };
    if (sizeBytes === 0 || !isCacheDue({ sizeBytes, idleMs: this.#clock.nowMs() - builtMs }, disk)) return false;
    if (!(await this.prune())) return false;
    this.#known = { builtMs, sizeBytes: 0 };
    return true;
  }

  /** Empties it in any case; false while a build runs. */
  prune(): Promise<boolean> {
    return pruneBuilderState(this.#folder, this.#clock);
  }
}

async function measure(folder: string): Promise<number> {
  const command = ["nice", "-n", "19", "du", "--summarize", "--block-size=1", "--one-file-system", "--", folder];
  const { stdout } = await run(command, { okCodes: [0, 1], timeoutMs: MEASURE_TIMEOUT_MS });
  return Number.parseInt(stdout, 10) || 0;
}
