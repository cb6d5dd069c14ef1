import { expect, it } from "vitest";
import { finalRefusal, readRefusals } from "./unit-refusals.ts";

const log = (msg: string): string => JSON.stringify({ level: "error", msg });
const taken = "tidegate cannot start: port 4566 on 127.0.0.1 is taken by nginx (pid 7)";
const busy = "tidegate cannot start: nft failed (exit code 1): Error: a\nError: b";

it("finds what each try said last, and not the log's lines about it", () => {
  const journal = [log("starts"), log(busy), busy, log("starts"), log(taken), taken, ""].join("\n");
  expect(readRefusals(journal)).toEqual([busy, taken]);
  expect(readRefusals(log("tidegate cannot start: x"))).toEqual([]);
  expect(readRefusals("")).toEqual([]);
});

it("takes for final what was said twice in a row, or once where systemd tries no more", () => {
  expect(finalRefusal([busy, taken], false)).toBeUndefined();
  expect(finalRefusal([taken], false)).toBeUndefined();
  expect(finalRefusal([busy, taken, taken], false)).toBe(taken);
  expect(finalRefusal([taken], true)).toBe(taken);
  expect(finalRefusal([], true)).toBeUndefined();
});
