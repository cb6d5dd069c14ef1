import { describe, expect, it } from "vitest";
import type { Probe } from "../contracts/workload.ts";
import { applyProbe, NOT_PROBED, verdictOf, type ProbeState, type ProbeStates } from "./probe-state.ts";

const probe: Probe = {
  action: { type: "exec", command: ["x"] },
  initialDelaySeconds: 0,
  periodSeconds: 1,
  timeoutSeconds: 1,
  failureThreshold: 3,
  successThreshold: 2,
};

/** `+` a success, `-` a failure, `g` a failure in the start period. */
const after = (results: string): ProbeState["outcome"] =>
  Array.from(results).reduce<ProbeState>((state, each) => applyProbe(state, probe, { ok: each === "+", graceful: each === "g" }), NOT_PROBED).outcome;

describe("thresholds", () => {
  it.each([
    ["", "unknown"],
    ["+", "unknown"],
    ["++", "passing"],
    ["+-+", "unknown"],
    ["--", "unknown"],
    ["---", "failing"],
    ["--+--", "unknown"],
    ["---+", "failing"],
    ["---++", "passing"],
    ["++--", "passing"],
    ["++---", "failing"],
    ["ggggg", "unknown"],
    ["ggg---", "failing"],
    // A success ends the start period.
    ["++ggg", "failing"],
  ])("%s: %s", (results, outcome) => {
    expect(after(results)).toBe(outcome);
  });
});

describe("verdict", () => {
  const states = (more: Partial<ProbeStates>): ProbeStates => ({
    health: NOT_PROBED,
    startup: NOT_PROBED,
    readiness: NOT_PROBED,
    liveness: NOT_PROBED,
    ...more,
  });
  const passing: ProbeState = { outcome: "passing", successes: 1, failures: 0 };
  const failing: ProbeState = { outcome: "failing", successes: 0, failures: 3 };
  const health = { ...probe, startPeriodSeconds: 0 };

  it("without probes: started, ready, health unknown", () => {
    expect(verdictOf({}, states({}))).toEqual({ health: "UNKNOWN", started: true, ready: true });
  });
  it("ECS's health never kills", () => {
    expect(verdictOf({ health }, states({ health: failing }))).toEqual({ health: "UNHEALTHY", started: true, ready: true });
    expect(verdictOf({ health }, states({ health: passing })).health).toBe("HEALTHY");
  });
  it("startup holds back ready; a failed startup or liveness probe kills", () => {
    const probes = { startup: probe, readiness: probe, liveness: probe };
    expect(verdictOf(probes, states({ readiness: passing }))).toMatchObject({ started: false, ready: false });
    expect(verdictOf(probes, states({ startup: passing, readiness: passing }))).toMatchObject({ started: true, ready: true });
    expect(verdictOf(probes, states({ startup: passing })).ready).toBe(false);
    expect(verdictOf(probes, states({ startup: failing })).killReason).toContain("startup");
    expect(verdictOf(probes, states({ startup: passing, liveness: failing })).killReason).toContain("liveness");
  });
});
