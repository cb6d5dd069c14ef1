import { describe, expect, it } from "vitest";
import type { LogFilter } from "../../contracts/workload.ts";
import { recordText } from "./log-record.ts";

const line = { timestampMs: Date.UTC(2026, 0, 1), stream: "stderr", message: '{"level":"warn","text":"two words"}' };
const cri: LogFilter = {
  type: "parser",
  key: "log",
  parser: { format: "cri", groups: ["time", "stream", "logtag", "log"], timeKey: "time" },
  reserveData: false,
  preserveKey: false,
};
const kubernetes: LogFilter = { type: "kubernetes", mergeLog: true, keepLog: false, labels: true, annotations: false };
const record = (filters: readonly LogFilter[]): unknown => {
  const text = recordText(line, { filters, kubernetes: { pod_name: "web", labels: { a: "b" }, annotations: {} } });
  return text === undefined ? undefined : JSON.parse(text);
};

describe("a line as a record", () => {
  it("is the CRI line, whole or in its parts", () => {
    expect(record([])).toEqual({ log: `2026-01-01T00:00:00.000Z stderr F ${line.message}` });
    expect(record([cri])).toEqual({ stream: "stderr", logtag: "F", log: line.message });
  });

  it("has the pod's names, and the fields of a line that is JSON", () => {
    const merged = { stream: "stderr", logtag: "F", level: "warn", text: "two words", kubernetes: { pod_name: "web", labels: { a: "b" } } };
    expect(record([cri, kubernetes])).toEqual(merged);
    expect(record([cri, { ...kubernetes, mergeLog: false }])).toMatchObject({ log: line.message });
  });

  it("is changed, and kept or not, by filters in their order", () => {
    const set: LogFilter = { type: "modify", verb: "set", key: "app", value: "shop" };
    expect(record([cri, set, { type: "modify", verb: "rename", key: "log", value: "message" }])).toMatchObject({
      app: "shop",
      message: line.message,
    });
    expect(record([cri, { type: "modify", verb: "remove", key: "logtag", value: "" }])).not.toHaveProperty("logtag");
    expect(record([cri, { type: "grep", exclude: true, key: "stream", regex: "stderr" }])).toBeUndefined();
    expect(record([cri, { type: "grep", exclude: false, key: "stream", regex: "stderr" }])).toBeDefined();
  });

  it("may be one field as text", () => {
    expect(recordText(line, { filters: [cri], logKey: "log" })).toBe(line.message);
    expect(recordText(line, { filters: [], logKey: "none" })).toBeUndefined();
  });
});
