import { describe, expect, test } from "vitest";
import { ago, createOutput, tableLines } from "./output.ts";

function stream(properties: { readonly isTTY?: boolean; readonly columns?: number } = {}) {
  const written: string[] = [];
  return { ...properties, written, write: (text: string) => written.push(text) > 0 };
}

describe("output", () => {
  test("has no colours and no spinners on a pipe", () => {
    const stdout = stream();
    const output = createOutput(stdout, stream());
    output.table(["NAME"], [["shop"]]);
    output.line(output.style("red", "bad"));
    expect(stdout.written.join("")).toBe("NAME\nshop\nbad\n");
    expect(output.terminal).toBe(false);
  });

  test("has them on a terminal; spinners only where there is a width to draw on", () => {
    expect(createOutput(stream({ isTTY: true, columns: 80 }), stream()).style("red", "bad")).toBe("\u001b[31mbad\u001b[39m");
    expect(createOutput(stream({ isTTY: true, columns: 80 }), stream()).terminal).toBe(true);
    expect(createOutput(stream({ isTTY: true, columns: 0 }), stream()).terminal).toBe(false);
  });

  test("notes go to stderr, so that stdout stays JSON", () => {
    const [stdout, stderr] = [stream(), stream()];
    const output = createOutput(stdout, stderr);
    output.note("progress");
    output.json({ a: 1 });
    expect(JSON.parse(stdout.written.join(""))).toEqual({ a: 1 });
    expect(stderr.written).toEqual(["progress\n"]);
  });
});

test("columns are as wide as their widest cell, without trailing space", () => {
  expect(
    tableLines(
      ["A", "LONG", "C"],
      [
        ["one", "x", ""],
        ["2", "longer", "z"],
      ],
    ),
  ).toEqual(["A    LONG    C", "one  x", "2    longer  z"]);
});

test.each([
  [0, "0 s ago"],
  [-5000, "0 s ago"],
  [89_000, "89 s ago"],
  [90_000, "2 min ago"],
  [89 * 60_000, "89 min ago"],
  [2 * 3_600_000, "2 h ago"],
  [3 * 86_400_000, "3 d ago"],
])("%i ms are %s", (passedMs, text) => {
  expect(ago(1_000_000, 1_000_000 + passedMs)).toBe(text);
});
