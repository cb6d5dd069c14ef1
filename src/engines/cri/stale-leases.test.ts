import { expect, it } from "vitest";
import { staleLeases } from "./stale-leases.ts";

it("takes the leases that are older than the containerd that runs, and no other", () => {
  const lease = (id: string, seconds: number, nanos = 0) => ({ id, createdAt: { seconds: String(seconds), nanos } });
  const leases = [lease("of the one before", 1_000), lease("just before", 1_999, 999_000_000), lease("of this one", 2_000, 1_000_000)];
  expect(staleLeases([...leases, { id: "of no time", createdAt: null }], 2_000_000).map(({ id }) => id)).toEqual([
    "of the one before",
    "just before",
  ]);
});
