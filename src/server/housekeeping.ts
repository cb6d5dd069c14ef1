import { join } from "node:path";
import { BuilderCache } from "../builder/cache-bound.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";
import type { PruneReport } from "../core/status-report.ts";
import type { DiskGuard, DiskSpace } from "../host/disk-guard.ts";
import type { Rooms } from "./rooms.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const GIB = 1024 ** 3;
const LOOK_EVERY_MS = 5 * MINUTE_MS;
/** An image that somebody just asked for is likely to be asked for again. */
const MINIMUM_IDLE_MS = 2 * MINUTE_MS;
/** What nobody asked for within this time goes, however much room there is. */
const LONGEST_IDLE_MS = 7 * DAY_MS;

export interface Housekeeping {
  /** Looks at the disk now, and then every five minutes. */
  start(): void;
  /** Removes all that nothing uses: images in containerd, garbage of the registry, the builder's cache. */
  prune(): Promise<PruneReport>;
  close(): Promise<void>;
}

export interface HousekeepingOptions {
  readonly rooms: Pick<Rooms, "disk" | "registry" | "fargate" | "ecs">;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Free space below which cleaning begins, and at which it has cleaned enough: 15 and 20 hundredths of the disk, as kubelet has it, but no
 * more than 10 and 15 GiB, as large disks are never short of. Pure.
 */
export function thresholds({ totalBytes }: Pick<DiskSpace, "totalBytes">): { readonly beginBytes: number; readonly enoughBytes: number } {
  return { beginBytes: Math.min(0.15 * totalBytes, 10 * GIB), enoughBytes: Math.min(0.2 * totalBytes, 15 * GIB) };
}

/** Keeps what can be had again (images that are unpacked, blobs without a manifest, build caches) from filling the disk. */
export function createHousekeeping(options: HousekeepingOptions): Housekeeping {
  const { rooms, clock, logger, dataDir } = options;
  const { disk } = rooms;
  const builder = new BuilderCache(join(dataDir, "builder"), clock);
  let timer: Disposable | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let closed = false;
  /** One at a time. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = running.then(work, work);
    running = mine.catch(() => {});
    return mine;
  };
  const isEnough = async (): Promise<boolean> => {
    const space = await disk.space();
    return space.freeBytes >= thresholds(space).enoughBytes;
  };
  const collect = async (minimumIdleMs: number, until?: () => Promise<boolean>): Promise<PruneReport["images"]> => {
    const needed = await rooms.ecs.deployedDigests();
    const removed = await rooms.fargate.images.collect({ needed, minimumIdleMs, ...(until !== undefined && { isEnough: until }) });
    return removed.map(({ names, sizeBytes }) => ({ name: names[0] ?? "", sizeBytes }));
  };
  /** From what is made again for least to what costs most. */
  const relieve = async (minimumIdleMs: number): Promise<void> => {
    const before = await disk.space();
    if (!(await isEnough())) await rooms.registry.collectGarbage();
    if (!(await isEnough())) await collect(minimumIdleMs, isEnough);
    if (!(await isEnough())) await builder.prune();
    const after = await disk.space();
    logger.info("the disk ran short; what nothing uses was removed", { freeBytes: after.freeBytes, freedBytes: after.freeBytes - before.freeBytes });
  };
  disk.onPressure(() =>
    inTurn(() => relieve(0)).catch((error: unknown) => logger.error("the disk could not be relieved", { err: messageOf(error) })),
  );

  const look = async (): Promise<void> => {
    const space = await disk.space();
    if (space.freeBytes < thresholds(space).beginBytes) await relieve(MINIMUM_IDLE_MS);
    await collect(LONGEST_IDLE_MS);
    if (await builder.trim(space)) logger.info("the builder's cache had outgrown its bound, or was not used for a week: it was emptied");
  };
  const arm = (): void => {
    timer = clock.setTimer(LOOK_EVERY_MS, () => void round());
  };
  const round = async (): Promise<void> => {
    await inTurn(look).catch((error: unknown) => logger.error("unused images could not be collected", { err: messageOf(error) }));
    if (!closed) arm();
  };
  return {
    start: () => void round(),
    prune: () => inTurn(() => prune({ disk, collect, rooms, builder })),
    async close() {
      closed = true;
      timer?.[Symbol.dispose]();
      disk.onPressure(async () => {});
      await running;
    },
  };
}

interface PruneParts {
  readonly disk: DiskGuard;
  readonly collect: (minimumIdleMs: number) => Promise<PruneReport["images"]>;
  readonly rooms: Pick<Rooms, "registry">;
  readonly builder: BuilderCache;
}

async function prune({ disk, collect, rooms, builder }: PruneParts): Promise<PruneReport> {
  const before = await disk.space();
  const images = await collect(0);
  const { blobsDeleted, freedBytes } = await rooms.registry.collectGarbage();
  const builderCache = await builder.prune();
  const after = await disk.space();
  return {
    images,
    registryBlobs: blobsDeleted,
    registryBytes: freedBytes,
    builderCache,
    freedBytes: Math.max(0, after.freeBytes - before.freeBytes),
  };
}
