import { describe, expect, it } from "vitest";
import { planCluster, type ObservedCluster, type ObservedWorkload } from "./plan-cluster.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const DAY_MS = 24 * 60 * 60_000;
const RUNNING: ObservedWorkload = {
  known: true,
  state: "RUNNING",
  isAskedToStop: false,
  startedAtMs: NOW_MS - 1000,
  stoppedAtMs: undefined,
  reason: undefined,
};
const STOPPED: ObservedWorkload = { ...RUNNING, state: "STOPPED", isAskedToStop: true, stoppedAtMs: NOW_MS, reason: "no such image" };

function observed(more: Partial<ObservedCluster> = {}): ObservedCluster {
  return {
    deleting: false,
    state: "CREATING",
    hasNetwork: true,
    hasSecrets: true,
    isAccessDue: false,
    isProviderDue: false,
    leavesEndMs: NOW_MS + 300 * DAY_MS,
    failures: 0,
    isDataLost: false,
    isRecovering: false,
    isToRecover: false,
    isChanged: false,
    isUpdating: false,
    workload: RUNNING,
    nowMs: NOW_MS,
    ...more,
  };
}

describe("a cluster on its way up", () => {
  it("gets address, certificates and workload, in this order, then is asked whether it is ready", () => {
    const none = { workload: undefined };
    expect(planCluster(observed({ ...none, hasNetwork: false, hasSecrets: false }))).toEqual({ do: "allocate-network" });
    expect(planCluster(observed({ ...none, hasSecrets: false }))).toEqual({ do: "make-secrets" });
    expect(planCluster(observed(none))).toEqual({ do: "choose-workload" });
    expect(planCluster(observed({ workload: { known: false } }))).toEqual({ do: "start-workload" });
    expect(planCluster(observed({ workload: { ...RUNNING, state: "PENDING" } }))).toEqual({ do: "wait" });
    expect(planCluster(observed())).toEqual({ do: "look-whether-ready" });
  });

  it("has failed when its third workload did not start, or none answers in time, and then runs nothing", () => {
    expect(planCluster(observed({ workload: STOPPED, failures: 1 }))).toMatchObject({ do: "wait" });
    expect(planCluster(observed({ workload: STOPPED, failures: 2 }))).toEqual({
      do: "fail",
      reason: "The control plane did not start: no such image",
    });
    expect(planCluster(observed({ workload: { ...RUNNING, startedAtMs: NOW_MS - 16 * 60_000 } }))).toMatchObject({ do: "fail" });
    expect(planCluster(observed({ state: "FAILED" }))).toEqual({ do: "stop-workload" });
    expect(planCluster(observed({ state: "FAILED", workload: STOPPED }))).toMatchObject({ do: "forget-workload", removed: true });
    expect(planCluster(observed({ state: "FAILED", workload: undefined }))).toEqual({ do: "wait" });
  });
});

describe("a cluster that serves", () => {
  const active = (more: Partial<ObservedCluster> = {}): ObservedCluster => observed({ state: "ACTIVE", ...more });

  it("is looked at twice a day, for its certificates", () => {
    expect(planCluster(active())).toEqual({ do: "wait", forMs: DAY_MS / 2 });
    const ageing = { leavesEndMs: NOW_MS + 29 * DAY_MS };
    expect(planCluster(active(ageing))).toEqual({ do: "stop-workload" });
    expect(planCluster(active({ ...ageing, workload: undefined }))).toEqual({ do: "renew-leaves" });
  });

  it("opens its endpoint to others, and tells its API server of an identity provider, while that runs", () => {
    expect(planCluster(active({ isAccessDue: true }))).toEqual({ do: "open-endpoint" });
    expect(planCluster(active({ isProviderDue: true }))).toEqual({ do: "configure-provider" });
    expect(planCluster(active({ isProviderDue: true, workload: { ...RUNNING, isAskedToStop: true } }))).toEqual({ do: "wait" });
    expect(planCluster(observed({ isProviderDue: true }))).toEqual({ do: "look-whether-ready" });
  });

  it("gets another workload for other settings, and is asked whether that one is ready", () => {
    expect(planCluster(active({ isChanged: true }))).toEqual({ do: "stop-workload" });
    expect(planCluster(active({ isUpdating: true }))).toEqual({ do: "look-whether-ready" });
  });

  it("gets another workload for one that ended: at once, or with a back-off when that did not hold", () => {
    const ended = { ...STOPPED, startedAtMs: NOW_MS - DAY_MS };
    expect(planCluster(active({ workload: ended, failures: 2 }))).toEqual({ do: "forget-workload", removed: false, failures: 0 });
    expect(planCluster(active({ workload: STOPPED }))).toEqual({ do: "forget-workload", removed: false, failures: 1 });
    expect(planCluster(active({ workload: STOPPED, failures: 1 }))).toEqual({ do: "wait", forMs: 4000 });
    const later = { nowMs: NOW_MS + 4000 };
    expect(planCluster(active({ workload: STOPPED, failures: 1, ...later }))).toEqual({ do: "forget-workload", removed: false, failures: 2 });
    expect(planCluster(active({ workload: STOPPED, failures: 40 }))).toEqual({ do: "wait", forMs: 60_000 });
    // A clock that was set back holds nobody up.
    expect(planCluster(active({ workload: STOPPED, failures: 1, nowMs: NOW_MS - DAY_MS }))).toMatchObject({ do: "forget-workload" });
  });
});

describe("a cluster whose objects come back from a snapshot", () => {
  const active = (more: Partial<ObservedCluster> = {}): ObservedCluster => observed({ state: "ACTIVE", ...more });

  it("says so before it starts without data, and serves again once its API server is ready", () => {
    const lost = { isDataLost: true, workload: { known: false } } as const;
    expect(planCluster(active(lost))).toEqual({ do: "begin-recovery", why: "lost" });
    expect(planCluster(active({ ...lost, isRecovering: true }))).toEqual({ do: "start-workload" });
    expect(planCluster(active({ isRecovering: true }))).toEqual({ do: "look-whether-ready" });
  });

  it("is stopped first where that is asked for", () => {
    expect(planCluster(active({ isToRecover: true }))).toEqual({ do: "stop-workload" });
    expect(planCluster(active({ isToRecover: true, workload: STOPPED }))).toMatchObject({ do: "forget-workload" });
    expect(planCluster(active({ isToRecover: true, workload: undefined }))).toEqual({ do: "begin-recovery", why: "asked" });
  });
});

describe("a cluster that is deleted", () => {
  it("ends its workload, forgets it, and only then gives up what it has", () => {
    const deleting = (workload: ObservedCluster["workload"]): ObservedCluster => observed({ state: "ACTIVE", deleting: true, workload });
    expect(planCluster(deleting(RUNNING))).toEqual({ do: "stop-workload" });
    expect(planCluster(deleting({ ...RUNNING, isAskedToStop: true }))).toEqual({ do: "wait" });
    expect(planCluster(deleting(STOPPED))).toMatchObject({ do: "forget-workload" });
    expect(planCluster(deleting({ known: false }))).toMatchObject({ do: "forget-workload" });
    expect(planCluster(deleting(undefined))).toEqual({ do: "remove-all" });
  });
});
