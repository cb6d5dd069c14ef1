import { expect, test } from "vitest";
import { randomOf, replayOf, seed } from "./matrix.ts";

test("a failed test is repeated alone, with its seed, whatever its name is made of", () => {
  const named = { name: "alone: it's back (round 1)", suite: { name: "SIGKILL of HAProxy's worker" } };
  expect(replayOf("test/recovery/kills-daemons.test.ts", named)).toMatch(
    new RegExp(
      `TIDEGATE_RECOVERY_SEED=${seed} bash tools/test.sh test/recovery/kills-daemons.test.ts -t 'SIGKILL of HAProxy.s worker . alone. it.s back .round 1.'$`,
    ),
  );
});

test("the same seed and name draw the same row; another name another one", () => {
  const row = (name: string, from: number): readonly number[] => {
    const random = randomOf(name, from);
    return Array.from({ length: 5 }, () => random.between(0, 1_000_000));
  };
  expect(row("push", 7)).toEqual(row("push", 7));
  expect(row("push", 7)).not.toEqual(row("stop", 7));
  expect(row("push", 7)).not.toEqual(row("push", 8));
});
