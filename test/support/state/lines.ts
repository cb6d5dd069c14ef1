/** A side of the comparison between what an instance should have on its host and what it has: one line for each thing. */

/** What there should be. */
export interface Expected {
  readonly must: readonly string[];
  /** Lines that do no harm when they are there. */
  readonly may?: readonly string[];
}

/** What is missing and what is left over, one line each; none when both sides agree. A thing that is there twice is left over once. Pure. */
export function differences(expected: Expected, observed: readonly string[]): readonly string[] {
  const may = new Set(expected.may);
  const counts = new Map<string, number>();
  for (const line of observed) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const line of expected.must) counts.set(line, (counts.get(line) ?? 0) - 1);
  return [...counts]
    .flatMap(([line, count]) => {
      if (count === 0 || (count > 0 && may.has(line))) return [];
      return Array.from({ length: Math.abs(count) }, () => `${count < 0 ? "missing" : "left over"}: ${line}`);
    })
    .toSorted();
}

export function joined(sides: readonly Expected[]): Expected {
  return { must: sides.flatMap((side) => side.must), may: sides.flatMap((side) => side.may ?? []) };
}
