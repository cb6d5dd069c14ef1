import { describe, expect, it } from "vitest";
import { type Snapshot, snapshotName } from "./etcd-folder.ts";
import { nextSnapshotMs, SNAPSHOT_EVERY_MS, surplus } from "./plan-snapshots.ts";

const GIB = 1024 ** 3;
const nowMs = Date.UTC(2026, 0, 31, 12);

function taken(count: number, sizeBytes: number): readonly Snapshot[] {
  return Array.from({ length: count }, (_, index) => {
    const takenAtMs = nowMs - (count - index) * 1000;
    return { name: snapshotName(takenAtMs), takenAtMs, sizeBytes };
  });
}

describe("snapshots", () => {
  it("are taken an hour after the last one, at once without one or when the clock was set back", () => {
    expect(nextSnapshotMs([], nowMs)).toBe(nowMs);
    expect(nextSnapshotMs(taken(3, 1), nowMs)).toBe(nowMs - 1000 + SNAPSHOT_EVERY_MS);
    expect(nextSnapshotMs(taken(3, 1), nowMs - 3_600_000)).toBe(nowMs - 3_600_000);
  });

  it("go, the oldest first, beyond eight or two GiB; two always stay", () => {
    expect(surplus(taken(8, 1))).toEqual([]);
    const many = taken(11, 1);
    expect(surplus(many)).toEqual(many.slice(0, 3));
    const large = taken(5, 0.6 * GIB);
    expect(surplus(large)).toEqual(large.slice(0, 2));
    const huge = taken(4, 5 * GIB);
    expect(surplus(huge)).toEqual(huge.slice(0, 2));
    expect(surplus([])).toEqual([]);
  });

  it("have names that sort by time", () => {
    expect(snapshotName(nowMs)).toBe("2026-01-31T12-00-00Z.db");
  });
});
