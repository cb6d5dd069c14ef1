/** A segment file as a look at the disk shows it. */
export interface SegmentFact {
  /** Key of its group. */
  readonly group: string;
  readonly streamId: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was last written. */
  readonly writtenMs: number;
}

/**
 * Which segments go so that the rest fits into `maxBytes`: always the oldest of the group that has the most, so that a group that floods
 * makes room for itself and takes nobody else's lines. Pure.
 */
export function planCap(segments: readonly SegmentFact[], maxBytes: number): readonly SegmentFact[] {
  let total = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  const groups = Array.from(
    Map.groupBy(segments, (segment) => segment.group),
    ([, members]) => ({
      bytes: members.reduce((sum, segment) => sum + segment.sizeBytes, 0),
      // The oldest last, to be popped.
      left: members.toSorted((a, b) => b.writtenMs - a.writtenMs || b.path.localeCompare(a.path)),
    }),
  );
  const doomed: SegmentFact[] = [];
  while (total > maxBytes) {
    const largest = groups.reduce((most, group) => (group.bytes > most.bytes ? group : most), { bytes: 0, left: [] as SegmentFact[] });
    const oldest = largest.left.pop();
    if (oldest === undefined) break;
    largest.bytes -= oldest.sizeBytes;
    total -= oldest.sizeBytes;
    doomed.push(oldest);
  }
  return doomed;
}
