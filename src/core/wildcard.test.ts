import { expect, it } from "vitest";
import { fitsWildcard } from "./wildcard.ts";

it.each([
  ["", "", true],
  ["", "a", false],
  ["*", "", true],
  ["*", "a.b/c\nd", true],
  ["a", "a", true],
  ["a", "ab", false],
  ["a*", "ab", true],
  ["a*b", "ab", true],
  ["a*b", "a-b-b", true],
  ["a*b", "a-b-c", false],
  ["*ab", "aab", true],
  ["a**c", "abc", true],
  ["a*b*c", "a1b2b3c", true],
  ["a?c", "abc", true],
  ["a?c", "ac", false],
  ["?", "", false],
  ["a.c", "abc", false],
  ["[a-z]", "b", false],
  ["a*", "A1", false],
])("%s fits %s: %s", (pattern, text, fits) => {
  expect(fitsWildcard(pattern, text)).toBe(fits);
});

it("a question mark is itself where it is no wildcard", () => {
  expect([fitsWildcard("a?*", "a?b", { wildcards: "*" }), fitsWildcard("a?*", "abc", { wildcards: "*" })]).toEqual([true, false]);
});

it.each([
  [String.raw`a\*`, "a*", true],
  [String.raw`a\*`, "ab", false],
  [String.raw`\?\\*`, String.raw`?\b`, true],
  [String.raw`a\b*`, String.raw`a\bc`, true],
])("with escapes %s fits %s: %s", (pattern, text, fits) => {
  expect(fitsWildcard(pattern, text, { escapes: true })).toBe(fits);
});

it("no pattern is slow", () => {
  expect(fitsWildcard(`${"*a".repeat(500)}*b`, "a".repeat(5000))).toBe(false);
});
