import { expect, it } from "vitest";
import type { RuntimeContainer } from "../contracts/container-runtime.ts";
import type { WorkloadStatus } from "../contracts/engine.ts";
import { messageKey, nextStatus } from "./next-status.ts";
import { type ContainerFacts, type ObservationSources, observeContainer } from "./observe.ts";
import { testContainer, testWorkload } from "./testing.ts";

const workload = testWorkload({ containers: [testContainer("web", { restart: { policy: "always" } })] });
const spec = workload.containers[0] ?? testContainer("web");
const FIRST: WorkloadStatus = {
  id: workload.id,
  state: "RUNNING",
  desired: "RUNNING",
  health: "UNKNOWN",
  containers: [{ name: "web", state: "RUNNING", health: "UNKNOWN", ready: true, restartCount: 0, startedAtMs: 1000 }],
  acceptedAtMs: 0,
  version: 1,
  timeline: [],
};

function attempt(number: number, more: Partial<RuntimeContainer> = {}): RuntimeContainer {
  const id = `id-${number}`;
  const times = { createdAtMs: number * 1000, startedAtMs: number * 1000 };
  return { id, sandboxId: "s", name: "web", attempt: number, state: "running", labels: {}, oomKilled: false, ...times, ...more };
}

function observe(before: WorkloadStatus, containers: readonly RuntimeContainer[], more: Partial<ObservationSources> = {}): ContainerFacts {
  const none = { startFailures: new Map(), hookFailures: new Map(), busy: () => false, verdict: () => undefined };
  return observeContainer(spec, { status: before, placement: undefined, containers, ...none, ...more });
}

/** The status of `web` after this one, where the runtime has these attempts. */
function after(
  before: WorkloadStatus,
  containers: readonly RuntimeContainer[],
  messages: Readonly<Record<string, string>> = {},
  more: Partial<ObservationSources> = {},
): WorkloadStatus {
  const facts = observe(before, containers, more);
  const record = { workload, acceptedAtMs: 0, desired: "RUNNING" as const };
  const known = { imageDigests: new Map(), messages: new Map(Object.entries(messages)), marks: [], nowMs: 9000 };
  return nextStatus(before, { record, placement: undefined, state: "RUNNING", containers: [facts], ...known }) ?? before;
}

it("says how the attempt before ended though that was never seen, keeps it when the runtime has it no more, and has the newer one then", () => {
  const ended = attempt(1, { state: "exited", exitCode: 42, finishedAtMs: 1500 });
  const second = after(FIRST, [attempt(2), ended], { [messageKey("web", 1)]: "last words", [messageKey("web", 2)]: "not yet" });
  const lastEnd = { attempt: 1, exitCode: 42, startedAtMs: 1000, finishedAtMs: 1500, terminationMessage: "last words" };
  expect(second.containers[0]).toMatchObject({ state: "RUNNING", restartCount: 2, lastEnd });
  expect(after(second, [attempt(2)]).containers[0]?.lastEnd).toEqual(second.containers[0]?.lastEnd);
  // As the next process sees it, and what it reads of the files a second time is no news.
  expect(after(second, [attempt(2), ended], { [messageKey("web", 1)]: "last words" })).toBe(second);
  const third = after(second, [attempt(3), attempt(2, { state: "exited", exitCode: 137, oomKilled: true, finishedAtMs: 2500 })]);
  expect(third.containers[0]?.lastEnd).toMatchObject({ attempt: 2, exitCode: 137, finishedAtMs: 2500 });
  expect(third.containers[0]?.lastEnd?.reason).toContain("OutOfMemoryError");
  expect(third.containers[0]?.lastEnd?.terminationMessage).toBeUndefined();
});

it("keeps of a long timeline the beginning and the end: what happened last is told, whatever was told a hundred times before", () => {
  const running: WorkloadStatus = { ...FIRST, timeline: [{ phase: "PROVISIONING", atMs: 0 }] };
  const record = { workload, acceptedAtMs: 0, desired: "RUNNING" as const };
  const known = { placement: undefined, imageDigests: new Map(), messages: new Map(), nowMs: 9000 };
  let status = running;
  for (let turn = 0; turn < 100; turn++) {
    const marks = [{ phase: `restarted ${turn}`, atMs: turn }];
    status = nextStatus(status, { record, state: "RUNNING", containers: [observe(status, [attempt(0)])], marks, ...known }) ?? status;
  }
  const ended = nextStatus(status, { record, state: "STOPPED", containers: [observe(status, [attempt(0)])], marks: [], ...known });
  const phases = (ended?.timeline ?? []).map(({ phase }) => phase);
  expect(phases).toHaveLength(64);
  expect(phases.slice(0, 2)).toEqual(["PROVISIONING", "restarted 0"]);
  expect(phases.slice(-2)).toEqual(["restarted 99", "STOPPED"]);
});

it("says of an attempt that could not be started why", () => {
  const failed = attempt(0, { state: "exited", exitCode: 128, startedAtMs: undefined, finishedAtMs: 900, reason: "no such file" });
  expect(after(FIRST, [attempt(1), failed]).containers[0]?.lastEnd).toMatchObject({
    attempt: 0,
    startFailure: { step: "start", words: "no such file" },
    finishedAtMs: 900,
  });
});

it("counts no restart for a try that failed before there was a container", () => {
  const failure = { attempt: 1, step: "pull", words: "why", text: "why", atMs: 2000 } as const;
  const ended = attempt(0, { state: "exited", exitCode: 1, startedAtMs: 500, finishedAtMs: 900 });
  const [web] = after(FIRST, [ended], {}, { startFailures: new Map([["web", failure]]) }).containers;
  expect(web).toMatchObject({ state: "STOPPED", restartCount: 0, startFailure: { step: "pull" }, lastEnd: { attempt: 0, exitCode: 1 } });
  expect(web?.exitCode).toBeUndefined();
  const made = { ...failure, step: "start" as const };
  expect(after(FIRST, [ended], {}, { startFailures: new Map([["web", made]]) }).containers[0]?.restartCount).toBe(1);
});

it("sees that a probe, or a hook of this attempt, condemns a container that runs", () => {
  const verdict = () => ({ health: "UNKNOWN", started: true, ready: false, killReason: "its liveness probe failed" }) as const;
  expect(observe(FIRST, [attempt(0)], { verdict }).killReason).toBe("its liveness probe failed");
  const complaint = { about: "postStart", words: "exit code 1", ends: true } as const;
  const hookFailures = new Map([["web", { attempt: 0, complaint }]]);
  expect(observe(FIRST, [attempt(0)], { hookFailures }).killReason).toBe("exit code 1");
  expect(observe(FIRST, [attempt(1)], { hookFailures }).killReason).toBeUndefined();
});
