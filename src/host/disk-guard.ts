import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../core/clock.ts";
import { isDiskFull } from "../core/disk-full.ts";
import { isProblem, Problem } from "../core/problem.ts";

const MIB = 1024 * 1024;
/** While something is being written, the disk is looked at so often. */
const LOOK_MS = 100;

export interface DiskSpace {
  /** For everybody but root's own reserve. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface DiskGuardOptions {
  /** On the disk that is guarded. */
  readonly folder: string;
  readonly clock: Clock;
  /** Kept back for the database and the logs; default a twentieth of the disk, from 64 MiB to 1 GiB. */
  readonly reserveBytes?: number;
}

interface Transfer {
  readonly what: string;
  readonly abort: AbortController;
}

/**
 * Keeps what may grow without bound (pushes, pulls, builds) from filling the disk that the database is on. Such work begins only while more
 * than the reserve is free, and is broken off when less than half of it is left.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions;
  readonly #transfers = new Set<Transfer>();
  #timer: Disposable | undefined;
  #relief: () => Promise<void> = async () => {};
  #relieving: Promise<void> | undefined;

  constructor(options: DiskGuardOptions) {
    this.#options = options;
  }

  /** Called when room is asked for that is not there: frees what nothing uses. One runs at a time. */
  onPressure(relief: () => Promise<void>): void {
    this.#relief = relief;
  }

  async space(): Promise<DiskSpace> {
    const { bavail, blocks, bsize } = await statfs(this.#options.folder);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  }

  /** What is kept back of a disk of this size. */
  reserveOf({ totalBytes }: Pick<DiskSpace, "totalBytes">): number {
    return this.#options.reserveBytes ?? Math.min(1024 * MIB, Math.max(64 * MIB, Math.floor(totalBytes / 20)));
  }

  /**
   * Resolves when `neededBytes` may be written and the reserve stays, after unused things were collected if need be.
   * @throws Problem `exhausted` naming the disk, what is free, and what to do.
   */
  async ensureRoom(what: string, neededBytes = 0): Promise<void> {
    const isEnough = async (): Promise<boolean> => {
      const space = await this.space();
      return space.freeBytes - neededBytes >= this.reserveOf(space);
    };
    if (await isEnough()) return;
    this.#relieving ??= this.#relief().finally(() => (this.#relieving = undefined));
    await this.#relieving;
    if (!(await isEnough())) throw this.#refusal(what, await this.space());
  }

  /** Does work that writes much: there must be room, and it is aborted when the disk runs full meanwhile. @throws as `ensureRoom`, or as `work`. */
  async during<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    await this.ensureRoom(what);
    const transfer = { what, abort: new AbortController() };
    this.#transfers.add(transfer);
    this.#watch();
    try {
      return await work(transfer.abort.signal);
    } catch (error) {
      throw transfer.abort.signal.aborted ? (transfer.abort.signal.reason as Error) : error;
    } finally {
      this.#transfers.delete(transfer);
    }
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#transfers.size === 0) return;
    this.#timer = this.#options.clock.setTimer(LOOK_MS, () => {
      this.#timer = undefined;
      // A disk that cannot be looked at breaks nothing off.
      void this.#look()
        .catch(() => {})
        .finally(() => this.#watch());
    });
  }

  async #look(): Promise<void> {
    const space = await this.space();
    if (space.freeBytes >= this.reserveOf(space) / 2) return;
    for (const { what, abort } of this.#transfers) abort.abort(this.#refusal(what, space));
  }

  #refusal(what: string, space: DiskSpace): Problem {
    return new Problem("exhausted", `${what}: ${this.describe(space)}. ${DISK_ADVICE}`);
  }

  /** How full the disk is, in words. */
  describe(space: DiskSpace): string {
    const { freeBytes, totalBytes } = space;
    const reserve = inWords(this.reserveOf(space));
    return `the disk that holds ${this.#options.folder} has ${inWords(freeBytes)} of ${inWords(totalBytes)} free, and ${reserve} are kept back`;
  }
}

/** What to do about a full disk. */
export const DISK_ADVICE =
  "Free some space, delete images that nobody needs (`tidegate images prune` removes what nothing uses), or give it a larger disk; nothing has to be restarted.";

/**
 * Does what writes much into `folder`, with no guard around it. Programs say in words of their own, or not at all, that a disk is full: so it is
 * looked at when they fail.
 * @throws Problem `exhausted` that says so, and what to do; else what `work` throws.
 */
export async function tellingFullDisk<T>(what: string, folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isProblem(error, "exhausted") || !(isDiskFull(error) || (await freeBytesOf(folder)) < MIB)) throw error;
    throw new Problem("exhausted", `${what}: the disk that holds ${folder} is full. ${DISK_ADVICE}`, { cause: error });
  }
}

/** Before work is begun that is known to write so much into `folder`. @throws Problem `exhausted` that says so, and what to do. */
export async function mustHaveRoom(what: string, folder: string, neededBytes: number): Promise<void> {
  const freeBytes = await freeBytesOf(folder);
  if (freeBytes >= neededBytes) return;
  const has = `the disk that holds ${folder} has ${inWords(freeBytes)} free, and it takes ${inWords(neededBytes)} for a while`;
  throw new Problem("exhausted", `${what}: ${has}. ${DISK_ADVICE}`);
}

/** The folder need not be there yet. */
async function freeBytesOf(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || dirname(folder) === folder) throw error;
    return await freeBytesOf(dirname(folder));
  }
}

/** Bytes in the unit that a person would say. */
export function inWords(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
