import { expect, it } from "vitest";
import { compileFilterPattern } from "./filter-pattern.ts";

const json =
  '{"level":"error","status":503,"ok":false,"none":null,"user":{"name":"Ann Lee","id":"42"},"path":"/api/v1/items","tags":["a","b"],"list":[{"n":1},{"n":5}]}';

it.each([
  ["", "anything", true],
  ["ERROR", "an ERROR here", true],
  ["ERROR", "an error here", false],
  ["ERROR timeout", "timeout then ERROR", true],
  ["ERROR timeout", "ERROR only", false],
  ['"exact phrase"', "the exact phrase here", true],
  ['"exact phrase"', "phrase exact", false],
  ['"say \\"hi\\""', 'they say "hi" now', true],
  ["?ERROR ?WARN", "a WARN", true],
  ["?ERROR ?WARN", "an INFO", false],
  ["ERROR -health", "ERROR in health", false],
  ["ERROR -health", "ERROR in db", true],
  ['-"health check"', "a health check", false],
  ["/api/v1", "GET /api/v1/items", true],
])("%j on %j: %s", (pattern, message, expected) => {
  expect(compileFilterPattern(pattern)(message)).toBe(expected);
});

it.each([
  ['{ $.level = "error" }', true],
  ["{ $.level = error }", true],
  ['{ $.level != "error" }', false],
  ['{ $.level = "err*" && $.status > 499 }', true],
  ["{ $.status >= 503 && $.status < 504 }", true],
  ["{ $.status > 503 }", false],
  ["{ $.status = 503 }", true],
  ["{ $.status = 5* }", true],
  ['{ ($.level = "x" || $.status = 503) && $.user.name = "Ann*" }', true],
  ['{ $.path = "*v1*" }', true],
  ['{ $.path = "/api*items" }', true],
  ['{ $.path = "*/v2/*" }', false],
  ["{ $.user.id = 42 }", true],
  ['{ $.tags[1] = "b" }', true],
  ['{ $.tags[*] = "a" }', true],
  ["{ $.list[*].n > 4 }", true],
  ["{ $.list[0].n > 4 }", false],
  ["{ $.ok IS FALSE }", true],
  ["{ $.ok IS TRUE }", false],
  ["{ $.none IS NULL }", true],
  ["{ $.missing NOT EXISTS }", true],
  ["{ $.status NOT EXISTS }", false],
  ['{ $.missing = "x" }', false],
  ['{ $.user = "x" }', false],
])("%s: %s", (pattern, expected) => {
  expect(compileFilterPattern(pattern)(json)).toBe(expected);
  expect(compileFilterPattern(pattern)("not json")).toBe(false);
});

it.each(["{ $.a }", "{ $.a = }", '{ $.a = "x" ', "{ a = 1 }", '{ $.a > "x" }', '"open', 'a"b', "{ $.a = 1 } x"])("refuses %s", (pattern) => {
  expect(() => compileFilterPattern(pattern)).toThrow(expect.objectContaining({ kind: "invalid" }));
});

it.each(["[a, b=5*]", "%re.*x%", "{ $.a = %x% }"])("says that %s is not supported", (pattern) => {
  expect(() => compileFilterPattern(pattern)).toThrow(expect.objectContaining({ kind: "unsupported" }));
});
