import { expect, it } from "vitest";
import { nextFreeAddress } from "./ipam.ts";

it("a subnet is full when its own addresses are taken, however many its neighbours have given out", () => {
  const neighbours = Array.from({ length: 500 }, (_, index) => `10.0.${1 + (index >> 8)}.${index & 255}`);
  expect(nextFreeAddress("10.0.0.0/28", new Set(neighbours), undefined)).toBe("10.0.0.4");
  const own = Array.from({ length: 11 }, (_, index) => `10.0.0.${4 + index}`);
  expect(nextFreeAddress("10.0.0.0/28", new Set([...neighbours, ...own]), undefined)).toBeUndefined();
});
