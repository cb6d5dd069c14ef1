import type { Snapshot } from "./etcd-folder.ts";

export const SNAPSHOT_EVERY_MS = 60 * 60_000;
/** Of one cluster. The newest two are kept whatever they take. */
const MOST = 8;
const MOST_BYTES = 2 * 1024 ** 3;
const LEAST = 2;

/** When the next one is due: an hour after the last one, at once where there is none, or where the clock says that it is of the future. Pure. */
export function nextSnapshotMs(taken: readonly Snapshot[], nowMs: number): number {
  const last = taken.at(-1);
  return last === undefined || last.takenAtMs > nowMs ? nowMs : last.takenAtMs + SNAPSHOT_EVERY_MS;
}

/** Which of them, oldest first, go so that the rest keeps within count and bytes. Pure. */
export function surplus(taken: readonly Snapshot[]): readonly Snapshot[] {
  let bytes = 0;
  let from = taken.length;
  for (const { sizeBytes } of taken.toReversed()) {
    const count = taken.length - from;
    bytes += sizeBytes;
    if (count >= MOST || (count >= LEAST && bytes > MOST_BYTES)) break;
    from -= 1;
  }
  return taken.slice(0, from);
}
