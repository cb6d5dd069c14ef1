import { expect, test } from "vitest";
import { phaseRows } from "./ps.ts";

test("a task's phases come in the order they began, each with the time until the next", () => {
  const at = (ms: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, 0, ms));
  const rows = phaseRows({ createdAt: at(0), connectivityAt: at(250), pullStartedAt: at(20), pullStoppedAt: at(25), startedAt: at(400) });
  expect(rows.map(([name, , took]) => [name, took])).toEqual([
    ["created", "20 ms"],
    ["pull started", "5 ms"],
    ["pull stopped", "225 ms"],
    ["network ready", "150 ms"],
    ["running", ""],
  ]);
  expect(rows[0]?.[1]).toBe("2026-01-01T00:00:00.000Z");
});
