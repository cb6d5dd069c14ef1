import type { DiskUsage } from "../contracts/container-runtime.ts";
import type { StopReason } from "../contracts/engine.ts";
import type { Workload } from "../contracts/workload.ts";
import type { ComputeContext } from "./compute-context.ts";
import { isTight, planStorage, totalOf, type StorageStop, type StorageUse } from "./plan-storage.ts";
import { processLimit } from "./process-limit.ts";
import type { PlacementRecord } from "./records.ts";
import { hasStorageLimits, storageEviction } from "./storage-limits.ts";
import { requestStop } from "./request-stop.ts";

const INTERVAL_MS = 10_000;
/** While the disk has little left. */
const URGENT_INTERVAL_MS = 2_000;
/** Measuring takes at most a tenth of the time: millions of files take longer to count. */
const REST_PER_WORK = 9;
/** How many measurements back a task's growth is looked at: about a minute. */
const HISTORY = 6;
const NOTHING: DiskUsage = { bytes: 0, inodes: 0 };

/** A workload with its sandbox. */
export interface PlacedWorkload {
  readonly workload: Workload;
  readonly placement: PlacementRecord;
}

export interface UsageWatchOptions {
  readonly context: ComputeContext;
  /** Those that have not stopped. */
  readonly placed: () => Promise<readonly PlacedWorkload[]>;
  /** Tells the workload's owner, in its timeline. */
  readonly note: (workloadId: string, words: string) => void;
}

/**
 * Watches over what no cgroup bounds: a workload that has more on disk than its ephemeral storage, or that grows while the host's disk is
 * nearly full, is asked to stop and killed at once, because what it would write during its grace is its neighbours' room. Also tells of
 * those that hit their limit of processes. Measures every ten seconds while there are workloads, every two while the disk is tight.
 */
export class UsageWatch {
  readonly #options: UsageWatchOptions;
  readonly #context: ComputeContext;
  /** By workload: its bytes at the last measurements, oldest first. */
  readonly #history = new Map<string, readonly number[]>();
  readonly #toldOfForks = new Set<string>();
  readonly #adopted = new Set<string>();
  #timer: Disposable | undefined;
  #measuring: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: UsageWatchOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  /** `adopted`: the ids of the workloads that ran before; of all others it is known that they began with nothing. */
  start(adopted: readonly string[]): void {
    for (const id of adopted) this.#adopted.add(id);
    this.#after(INTERVAL_MS);
  }

  /** As measured last; `undefined` before the first time. */
  usedBytes(workloadId: string): number | undefined {
    return this.#history.get(workloadId)?.at(-1);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#measuring;
  }

  #after(delayMs: number): void {
    if (this.#closed) return;
    this.#timer = this.#context.clock.setTimer(delayMs, () => void (this.#measuring = this.#turn()));
  }

  async #turn(): Promise<void> {
    const { clock, logger } = this.#context;
    const beganMs = clock.steadyMs();
    let intervalMs = INTERVAL_MS;
    try {
      const placed = await this.#options.placed();
      this.#retain(placed);
      if (placed.length > 0) {
        await this.#tellRefusedForks(placed);
        if ((await this.#measure(placed)).tight) intervalMs = URGENT_INTERVAL_MS;
      }
    } catch (error) {
      if (!this.#closed) logger.warn("what tasks have on disk could not be measured; it is tried again", { err: error });
    }
    this.#after(Math.max(intervalMs, (clock.steadyMs() - beganMs) * REST_PER_WORK));
  }

  #retain(placed: readonly PlacedWorkload[]): void {
    const ids = new Set(placed.map(({ workload }) => workload.id));
    for (const known of [this.#history, this.#toldOfForks, this.#adopted]) for (const id of known.keys()) if (!ids.has(id)) known.delete(id);
  }

  async #measure(placed: readonly PlacedWorkload[]): Promise<{ readonly tight: boolean }> {
    const { runtime, folders } = this.#context;
    const [layers, files, disk] = await Promise.all([runtime.layerUsage(), folders.usage(this.#context.signal), folders.space()]);
    const uses = placed.map((each) => this.#useOf(each, { layers, ...files }));
    for (const each of placed) {
      const stop = await this.#evictionOf(each, layers, files.workloads.get(each.workload.id) ?? NOTHING);
      if (stop !== undefined) await this.#end({ workloadId: each.workload.id, stop }, placed);
    }
    for (const use of uses) {
      this.#history.set(use.workloadId, [...(this.#history.get(use.workloadId) ?? [use.bytesBefore]), totalOf(use).bytes].slice(-HISTORY));
    }
    for (const stop of planStorage(uses, disk)) await this.#end(stop, placed);
    return { tight: isTight(disk) };
  }

  #useOf(
    { workload, placement }: PlacedWorkload,
    measured: Record<"layers" | "workloads" | "sandboxes", ReadonlyMap<string, DiskUsage>>,
  ): StorageUse {
    const use = {
      workloadId: workload.id,
      limitGiB: workload.ephemeralStorageGiB,
      layers: this.#containersOf(placement).map(({ id, name }) => ({ container: name, usage: measured.layers.get(id) ?? NOTHING })),
      volumes: measured.workloads.get(workload.id) ?? NOTHING,
      logs: measured.sandboxes.get(placement.sandboxName) ?? NOTHING,
    };
    const first = this.#adopted.has(workload.id) ? totalOf(use).bytes : 0;
    return { ...use, bytesBefore: this.#history.get(workload.id)?.[0] ?? first };
  }

  /** By the limits that a workload has within its ephemeral storage. */
  async #evictionOf(
    { workload, placement }: PlacedWorkload,
    layers: ReadonlyMap<string, DiskUsage>,
    whole: DiskUsage,
  ): Promise<StopReason | undefined> {
    if (!hasStorageLimits(workload)) return undefined;
    const volumes = await this.#context.folders.volumeUsage(workload.id, this.#context.signal);
    const ofContainers = this.#containersOf(placement).map(({ id, name }) => [name, layers.get(id)?.bytes ?? 0] as const);
    return storageEviction(workload, {
      volumes: new Map([...volumes].map(([name, { bytes }]) => [name, bytes])),
      layers: new Map(ofContainers),
      totalBytes: whole.bytes + ofContainers.reduce((sum, [, bytes]) => sum + bytes, 0),
    });
  }

  async #end({ workloadId, stop }: StorageStop, placed: readonly PlacedWorkload[]): Promise<void> {
    const { runtime, logger } = this.#context;
    const owner = placed.find(({ workload }) => workload.id === workloadId);
    if (owner === undefined) return;
    logger.warn("a task is ended for the disk's sake", { taskId: workloadId, reason: stop.reason });
    await requestStop(this.#context, workloadId, stop);
    const running = this.#containersOf(owner.placement).filter((container) => container.state === "running");
    await Promise.all(running.map(({ id }) => runtime.stopContainer(id, { graceSeconds: 0 })));
  }

  async #tellRefusedForks(placed: readonly PlacedWorkload[]): Promise<void> {
    const { runtime, logger, hostProcesses } = this.#context;
    for (const { workload, placement } of placed) {
      if (this.#toldOfForks.has(workload.id) || (await runtime.refusedForks(placement.cgroupParent)) === 0) continue;
      const limit = processLimit(workload.memoryMiB, hostProcesses);
      const words = `reached its limit of ${limit} processes and threads; further ones are refused (Resource temporarily unavailable)`;
      this.#toldOfForks.add(workload.id);
      this.#options.note(workload.id, words);
      logger.warn(`a task ${words}`, { taskId: workload.id });
    }
  }

  #containersOf({ sandboxName }: PlacementRecord) {
    const { cache } = this.#context;
    const sandbox = cache.sandboxNamed(sandboxName);
    return sandbox === undefined ? [] : cache.containersOf(sandbox.id);
  }
}
