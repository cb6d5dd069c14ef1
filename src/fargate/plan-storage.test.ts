import { expect, test } from "vitest";
import { planStorage, type DiskSpace, type StorageUse } from "./plan-storage.ts";

const GIB = 2 ** 30;
const NONE = { bytes: 0, inodes: 0 };
const ROOMY: DiskSpace = { freeBytes: 50 * GIB, sizeBytes: 100 * GIB };
const FULL: DiskSpace = { freeBytes: 0.9 * GIB, sizeBytes: 100 * GIB };

function use(workloadId: string, layerGiB: number, more: Partial<StorageUse> = {}): StorageUse {
  const bytes = layerGiB * GIB;
  const layers = [{ container: "web", usage: { bytes, inodes: 100 } }];
  return { workloadId, limitGiB: 20, layers, volumes: NONE, logs: NONE, bytesBefore: bytes, ...more };
}

test("a task within its size goes on, however full it is", () => {
  expect(planStorage([use("a", 19.9)], ROOMY)).toEqual([]);
});

test("layers, volumes and logs count together, and the reason says which of them took how much", () => {
  const task = use("a", 12, { volumes: { bytes: 7 * GIB, inodes: 1 }, logs: { bytes: 2 * GIB, inodes: 1 } });
  const [stop] = planStorage([task, use("b", 3)], ROOMY);
  expect(stop).toMatchObject({ workloadId: "a", stop: { code: "TerminationNotice" } });
  expect(stop?.stop.reason).toBe(
    "EphemeralStorageExceededError: the task has 21.00 GiB in 102 files, more than its ephemeral storage of 20 GiB holds (container web's own layer 12.00 GiB, volumes 7.00 GiB, logs 2.00 GiB). Write less, or ask for more in ephemeralStorage.sizeInGiB (21 to 200).",
  );
});

test("files without content count by their number, as on a disk of the task's own", () => {
  const layers = [{ container: "web", usage: { bytes: 1, inodes: 1_400_000 } }];
  expect(planStorage([use("a", 0, { layers })], ROOMY)).toMatchObject([{ workloadId: "a" }]);
});

test("when the host's disk is nearly full, the task that grew most makes room, not the largest", () => {
  const stops = planStorage([use("large", 19), use("some", 3, { bytesBefore: 2 * GIB }), use("most", 5, { bytesBefore: GIB })], FULL);
  expect(stops).toMatchObject([{ workloadId: "most", stop: { code: "TerminationNotice" } }]);
  expect(stops[0]?.stop.reason).toBe(
    "HostDiskFullError: the host's disk has 0.90 GiB left, and of all tasks this one grew most within the last minute, by 4.00 GiB to 5.00 GiB (its ephemeral storage is 20 GiB). Write less, or give the host more disk.",
  );
});

test("when somebody else fills the disk, no task pays for it", () => {
  expect(planStorage([use("a", 19), use("b", 1, { bytesBefore: 0.95 * GIB })], FULL)).toEqual([]);
});

test("what is kept of a small disk is a twentieth", () => {
  const task = use("a", 1, { bytesBefore: 0 });
  expect(planStorage([task], { freeBytes: 0.2 * GIB, sizeBytes: 3 * GIB })).toEqual([]);
  expect(planStorage([task], { freeBytes: 0.1 * GIB, sizeBytes: 3 * GIB })).toHaveLength(1);
});

test("who is over its size goes first: that may be room enough", () => {
  const stops = planStorage([use("over", 21), use("grew", 5, { bytesBefore: GIB })], FULL);
  expect(stops.map((stop) => stop.workloadId)).toEqual(["over"]);
});
