import { expect, test } from "vitest";
import type { ContainerStatus } from "../../contracts/engine.ts";
import type { WrittenContainer } from "../pod-status.ts";
import { containerOf, endedContainer, runningContainer } from "../testing.ts";
import { chooseAttempt } from "./choose-attempt.ts";

const choose = (state: WrittenContainer["state"], observed: ContainerStatus | undefined, previous = false): unknown =>
  chooseAttempt({ pod: "web", previous, shown: { name: "app", state }, observed });
const RUNNING = { running: { startedAt: "2026-01-01T00:00:00Z" } };
const ENDED = { terminated: { exitCode: 1, reason: "Error" } };
const BACKOFF = { waiting: { reason: "CrashLoopBackOff" } };
const noPrevious = { status: 400, words: `previous terminated container "app" in pod "web" not found` };

test("of one that runs, the instance now and the one before", () => {
  expect(choose(RUNNING, runningContainer("app"))).toBe(0);
  expect(choose(RUNNING, runningContainer("app"), true)).toEqual(noPrevious);
  expect(choose(RUNNING, runningContainer("app", { restartCount: 3 }))).toBe(3);
  expect(choose(RUNNING, runningContainer("app", { restartCount: 3 }), true)).toBe(2);
});

test("of one that has ended for good", () => {
  expect(choose(ENDED, endedContainer("app", 1, { restartCount: 1 }))).toBe(1);
  expect(choose(ENDED, endedContainer("app", 1, { restartCount: 1 }), true)).toBe(0);
});

test("between two starts both are the instance that ended", () => {
  for (const previous of [false, true]) expect(choose(BACKOFF, endedContainer("app", 1, { restartCount: 2 }), previous)).toBe(2);
  // Its next is being made.
  for (const previous of [false, true]) {
    expect(choose({ waiting: { reason: "ContainerCreating" } }, containerOf("app", { restartCount: 3 }), previous)).toBe(2);
  }
});

test("of one that has not run there is nothing, in the kubelet's words", () => {
  const words = (reason: string): unknown => choose({ waiting: { reason } }, containerOf("app"));
  expect(words("ContainerCreating")).toEqual({ status: 400, words: `container "app" in pod "web" is waiting to start: ContainerCreating` });
  expect(words("ImagePullBackOff")).toMatchObject({ words: expect.stringContaining("trying and failing to pull image") as string });
  expect(choose({ waiting: { reason: "ContainerCreating" } }, undefined, true)).toEqual(noPrevious);
  expect(choose(ENDED, undefined)).toMatchObject({ words: `container "app" in pod "web" is terminated` });
});
