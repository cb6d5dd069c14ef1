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

test("with the finer timeline, its steps take the place of the API's phases of the same meaning", () => {
  const startMs = Date.UTC(2026, 0, 1);
  const at = (ms: number): Date => new Date(startMs + ms);
  const steps = {
    PROVISIONING: 3,
    attached: 40,
    PENDING: 41,
    "pulled app": 90,
    ACTIVATING: 91,
    "created app": 110,
    "started app": 180,
    RUNNING: 181,
  };
  const timeline = Object.entries(steps).map(([phase, ms]) => ({ phase, atMs: startMs + ms }));
  const task = { createdAt: at(0), connectivityAt: at(40), pullStartedAt: at(5), pullStoppedAt: at(89), startedAt: at(181) };
  expect(phaseRows(task, timeline).map(([name, , took]) => [name, took])).toEqual([
    ["created", "3 ms"],
    ["PROVISIONING", "2 ms"],
    ["pull started", "35 ms"],
    ["attached", "1 ms"],
    ["PENDING", "48 ms"],
    ["pull stopped", "1 ms"],
    ["pulled app", "1 ms"],
    ["ACTIVATING", "19 ms"],
    ["created app", "70 ms"],
    ["started app", "1 ms"],
    ["RUNNING", ""],
  ]);
});
