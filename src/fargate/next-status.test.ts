import { expect, it } from "vitest";
import type { RuntimeContainer } from "../contracts/container-runtime.ts";
import type { WorkloadStatus } from "../contracts/engine.ts";
import { messageKey, nextStatus } from "./next-status.ts";
import { observeContainer } from "./observe.ts";
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

/** The status of `web` after this one, where the runtime has these attempts. */
function after(before: WorkloadStatus, containers: readonly RuntimeContainer[], messages: Readonly<Record<string, string>> = {}): WorkloadStatus {
  const facts = observeContainer(spec, {
    status: before,
    placement: undefined,
    containers,
    startFailures: new Map(),
    hookFailures: new Map(),
    busy: () => false,
    verdict: () => undefined,
  });
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

it("says of an attempt that could not be started why", () => {
  const failed = attempt(0, { state: "exited", exitCode: 128, startedAtMs: undefined, finishedAtMs: 900, reason: "no such file" });
  expect(after(FIRST, [attempt(1), failed]).containers[0]?.lastEnd).toMatchObject({
    attempt: 0,
    startFailure: { step: "start", words: "no such file" },
    finishedAtMs: 900,
  });
});
