import type { DiskUsage } from "../contracts/container-runtime.ts";
import type { StopReason } from "../contracts/engine.ts";
import { hostDiskFull, storageExceeded } from "./reasons.ts";

const GIB = 2 ** 30;
/** A file system as mkfs makes it has an inode for each 16 KiB: a task's share of them is as large as its share of the bytes. */
const BYTES_PER_INODE = 16_384;
/** Of the host's disk, what is kept from tasks for the database and the logs: a twentieth, within these. */
const RESERVE_SHARE = 20;
const RESERVE_BYTES = { least: 64 * 2 ** 20, most: GIB };
/** A task that grew less than this has not filled the disk. */
const NOTABLE_GROWTH_BYTES = 64 * 2 ** 20;
/** From so many times the reserve on, the disk is looked at more often. */
const TIGHT = 8;

/** What a workload has on the host's disk. */
export interface StorageUse {
  readonly workloadId: string;
  readonly limitGiB: number;
  readonly layers: readonly { readonly container: string; readonly usage: DiskUsage }[];
  /** Its volumes, and the files that Tidegate mounts for it. */
  readonly volumes: DiskUsage;
  /** Log files that are not rotated away yet. */
  readonly logs: DiskUsage;
  /** Some while ago, at most about a minute; of one that has run longer than this process, at its first look at it. */
  readonly bytesBefore: number;
}

/** The file system that holds them. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

/** All that counts. */
export function totalOf(use: Omit<StorageUse, "bytesBefore">): DiskUsage {
  const parts = [...use.layers.map((layer) => layer.usage), use.volumes, use.logs];
  return { bytes: sum(parts.map((part) => part.bytes)), inodes: sum(parts.map((part) => part.inodes)) };
}

/** Whether so little is left that a task has to make room. */
function isNearlyFull({ freeBytes, sizeBytes }: DiskSpace): boolean {
  return freeBytes < Math.min(RESERVE_BYTES.most, Math.max(RESERVE_BYTES.least, sizeBytes / RESERVE_SHARE));
}

/** Whether what is left may be gone before somebody looks again. */
export function isTight({ freeBytes, sizeBytes }: DiskSpace): boolean {
  return isNearlyFull({ freeBytes: freeBytes / TIGHT, sizeBytes });
}

export interface StorageStop {
  readonly workloadId: string;
  readonly stop: StopReason;
}

/**
 * Which workloads must end for the disk's sake, and why. Pure. Those over their own size do; else, where the disk is nearly full, the one
 * that grew most, if it grew notably: what somebody else filled no task has to pay for.
 */
export function planStorage(uses: readonly StorageUse[], disk: DiskSpace): readonly StorageStop[] {
  const over = uses.filter((use) => {
    const { bytes, inodes } = totalOf(use);
    const limitBytes = use.limitGiB * GIB;
    return bytes > limitBytes || inodes > limitBytes / BYTES_PER_INODE;
  });
  if (over.length > 0) return over.map((use) => ({ workloadId: use.workloadId, stop: storageExceeded(use, totalOf(use)) }));
  if (!isNearlyFull(disk)) return [];
  const grown = uses.map((use) => ({ use, grownBytes: totalOf(use).bytes - use.bytesBefore }));
  const [most] = grown.filter(({ grownBytes }) => grownBytes >= NOTABLE_GROWTH_BYTES).toSorted((a, b) => b.grownBytes - a.grownBytes);
  if (most === undefined) return [];
  const { use, grownBytes } = most;
  const sizes = { freeBytes: disk.freeBytes, grownBytes, bytes: totalOf(use).bytes, limitGiB: use.limitGiB };
  return [{ workloadId: use.workloadId, stop: hostDiskFull(sizes) }];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
