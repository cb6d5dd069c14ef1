import { describe, expect, it } from "vitest";
import type { StopReason } from "../contracts/engine.ts";
import { backoffMs, planPod, type ObservedPod } from "./plan-pod.ts";
import { containerOf, endedContainer, NOW_MS, runningContainer, workloadOf } from "./testing.ts";

const POD: NonNullable<ObservedPod["pod"]> = { isDeleting: false, isBound: true, isTerminal: false, restartPolicy: "Always" };
const observed = (more: Partial<ObservedPod> = {}): ObservedPod => ({
  pod: POD,
  hasAddress: true,
  isLost: false,
  isHostGone: false,
  nowMs: NOW_MS,
  ...more,
});
const running = workloadOf([runningContainer("app")]);
const stopping = workloadOf([runningContainer("app")], { desired: "STOPPED", state: "STOPPING" });
const stopped = workloadOf([endedContainer("app", 0)], { desired: "STOPPED", state: "STOPPED" });

describe("a pod on its way up", () => {
  it("gets an address, then its node, then starts, and is reported on", () => {
    expect(planPod(observed({ hasAddress: false, pod: { ...POD, isBound: false } }))).toEqual({ do: "allocate" });
    expect(planPod(observed({ pod: { ...POD, isBound: false } }))).toEqual({ do: "bind" });
    expect(planPod(observed())).toEqual({ do: "start" });
    expect(planPod(observed({ workload: running }))).toEqual({ do: "report" });
  });

  it("waits for its back-off", () => {
    expect(planPod(observed({ notBeforeMs: NOW_MS + 5000 }))).toEqual({ do: "wait", forMs: 5000 });
    expect(planPod(observed({ notBeforeMs: NOW_MS - 1 }))).toEqual({ do: "start" });
    expect([0, 1, 2, 6, 99].map(backoffMs)).toEqual([0, 10_000, 20_000, 300_000, 300_000]);
  });
});

describe("a workload that stopped without being asked", () => {
  const end = (code: StopReason["code"], reason = "") =>
    workloadOf([endedContainer("app", 1)], { state: "STOPPED", desired: "STOPPED", stop: { code, reason } });

  it("is the pod's end where its containers ended", () => {
    expect(planPod(observed({ workload: end("EssentialContainerExited") }))).toEqual({ do: "report" });
    expect(planPod(observed({ workload: end("DeadlineExceeded") }))).toEqual({ do: "report" });
    // More on disk than it may have.
    expect(planPod(observed({ workload: end("Evicted") }))).toEqual({ do: "report" });
    expect(planPod(observed({ workload: end("TerminationNotice", "EphemeralStorageExceededError: …") }))).toEqual({ do: "report" });
    // An init container that failed.
    expect(planPod(observed({ workload: end("TaskFailedToStart") }))).toEqual({ do: "report" });
  });

  it("is replaced when it was lost, unless the pod never restarts and has run", () => {
    const lost = end("TerminationNotice", "The host was restarted");
    expect(planPod(observed({ workload: lost }))).toEqual({ do: "retry" });
    expect(planPod(observed({ workload: lost, pod: { ...POD, restartPolicy: "Never" } }))).toEqual({ do: "report" });
    const early = workloadOf([containerOf("app", { state: "STOPPED" })], {
      state: "STOPPED",
      stop: { code: "TaskFailedToStart", reason: "no netns" },
    });
    expect(planPod(observed({ workload: early, pod: { ...POD, restartPolicy: "Never" } }))).toEqual({ do: "retry" });
  });

  it("takes the pod along when the host went, if the pod has run and had not ended by itself, and goes on with that", () => {
    const lost = end("TerminationNotice", "The host was restarted");
    const gone = (more: Partial<ObservedPod>) => planPod(observed({ isHostGone: true, ...more }));
    expect(gone({ workload: lost })).toEqual({ do: "lose" });
    expect(gone({ workload: lost, pod: { ...POD, restartPolicy: "Never" } })).toEqual({ do: "lose" });
    expect(gone({ workload: end("EssentialContainerExited") })).toEqual({ do: "report" });
    expect(gone({ workload: lost, pod: { ...POD, isTerminal: true } })).toEqual({ do: "wait" });
    const early = workloadOf([containerOf("app", { state: "STOPPED" })], { state: "STOPPED", stop: { code: "TaskFailedToStart", reason: "" } });
    expect(gone({ workload: early })).toEqual({ do: "retry" });
    // The kill of Tidegate after the status was written, and before the pod was deleted.
    expect(gone({ workload: lost, isLost: true, pod: { ...POD, isTerminal: true } })).toEqual({ do: "lose" });
    expect(gone({ workload: lost, isLost: true, pod: { ...POD, isTerminal: true, isDeleting: true } })).toEqual({ do: "finish" });
  });

  it("is the pod's end when an init container could not be started", () => {
    const failed = containerOf("app", { state: "STOPPED", startFailure: { step: "start", words: "no such program" } });
    const workload = workloadOf([failed], { state: "STOPPED", stop: { code: "TaskFailedToStart", reason: "" } });
    expect(planPod(observed({ workload, pod: { ...POD, restartPolicy: "Never" } }))).toEqual({ do: "report" });
  });
});

describe("a pod on its way out", () => {
  it("is stopped, and its object goes only when nothing runs any more", () => {
    const pod = { ...POD, isDeleting: true };
    expect(planPod(observed({ pod, workload: running }))).toEqual({ do: "stop" });
    expect(planPod(observed({ pod, workload: stopping }))).toEqual({ do: "report" });
    expect(planPod(observed({ pod, workload: stopped }))).toEqual({ do: "finish" });
    expect(planPod(observed({ pod }))).toEqual({ do: "finish" });
    // The API server deletes it by itself.
    expect(planPod(observed({ pod: { ...pod, isBound: false } }))).toEqual({ do: "wait" });
  });

  it("leaves nothing when its object is gone", () => {
    expect(planPod(observed({ pod: undefined, workload: running }))).toEqual({ do: "stop" });
    expect(planPod(observed({ pod: undefined, workload: stopped }))).toEqual({ do: "remove" });
    expect(planPod(observed({ pod: undefined, hasAddress: false }))).toEqual({ do: "remove" });
  });

  it("is left alone when it has ended and is not deleted", () => {
    expect(planPod(observed({ pod: { ...POD, isTerminal: true }, workload: stopped }))).toEqual({ do: "wait" });
    expect(planPod(observed({ pod: { ...POD, isTerminal: true }, workload: running }))).toEqual({ do: "stop" });
    // But for what is told of it when its sandbox is gone.
    const own = { ...stopped, stop: { code: "EssentialContainerExited", reason: "" } } as const;
    expect(planPod(observed({ pod: { ...POD, isTerminal: true }, workload: own }))).toEqual({ do: "report" });
  });
});
