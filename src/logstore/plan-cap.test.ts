import * as fc from "fast-check";
import { expect, it } from "vitest";
import { planCap, type SegmentFact } from "./plan-cap.ts";

const segment = (group: string, sizeBytes: number, writtenMs: number): SegmentFact => ({
  group,
  streamId: group,
  path: `${group}/${writtenMs}`,
  sizeBytes,
  writtenMs,
});

it("takes the oldest of the group that has the most, and nothing while all fits", () => {
  const quiet = [segment("quiet", 10, 1), segment("quiet", 10, 2)];
  const flood = [segment("flood", 40, 3), segment("flood", 40, 5), segment("flood", 40, 4)];
  expect(planCap([...quiet, ...flood], 140)).toEqual([]);
  expect(planCap([...quiet, ...flood], 70)).toEqual([flood[0], flood[2]]);
  expect(planCap([...quiet, ...flood], 50)).toEqual([flood[0], flood[2], flood[1]]);
  expect(planCap([...quiet, ...flood], 15)).toEqual([flood[0], flood[2], flood[1], quiet[0]]);
});

it("frees enough, and leaves a group its lines while another has more", () => {
  const any = fc.record({ group: fc.constantFrom("a", "b", "c"), sizeBytes: fc.integer({ min: 1, max: 100 }), writtenMs: fc.nat({ max: 50 }) });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 40 }), fc.nat({ max: 2_000 }), (facts, maxBytes) => {
      const segments = facts.map(({ group, sizeBytes, writtenMs }, index) => ({
        ...segment(group, sizeBytes, writtenMs),
        path: `${group}/${index}`,
      }));
      const doomed = new Set(planCap(segments, maxBytes));
      const kept = segments.filter((each) => !doomed.has(each));
      const bytesOf = (list: readonly SegmentFact[], group: string): number =>
        list.filter((each) => each.group === group).reduce((sum, each) => sum + each.sizeBytes, 0);
      expect(kept.reduce((sum, each) => sum + each.sizeBytes, 0)).toBeLessThanOrEqual(maxBytes);
      const groups = ["a", "b", "c"];
      for (const hurt of groups.filter((group) => bytesOf(kept, group) < bytesOf(segments, group))) {
        const last = segments.find((each) => each === [...doomed].findLast((gone) => gone.group === hurt));
        // Before its last loss it had as much as any.
        for (const other of groups) expect(bytesOf(kept, hurt) + (last?.sizeBytes ?? 0)).toBeGreaterThanOrEqual(bytesOf(kept, other));
      }
    }),
  );
});
