import { expect, it } from "vitest";
import { eventObject, newsOf } from "./events.ts";
import { podStatus } from "./pod-status.ts";
import { containerOf, endedContainer, NOW_MS, PLACEMENT, runningContainer, testPod, workloadOf } from "./testing.ts";

const pod = testPod();
const newsFor = (container: Parameters<typeof workloadOf>[0][number], told: Readonly<Record<string, string>> = {}) => {
  const workload = workloadOf([container]);
  return newsOf({ pod, status: podStatus({ pod, placement: PLACEMENT, workload, nowMs: NOW_MS }), workload }, told);
};
const reasons = (news: ReturnType<typeof newsFor>): readonly string[] => news.events.map(({ reason }) => reason);

it("tells of a start once, and of each restart", () => {
  const first = newsFor(runningContainer("app"));
  expect(reasons(first)).toEqual(["Pulling", "Pulled", "Created", "Started"]);
  expect(reasons(newsFor(runningContainer("app"), first.told))).toEqual([]);
  expect(reasons(newsFor(runningContainer("app", { restartCount: 1 }), first.told))).toEqual(["Pulling", "Pulled", "Created", "Started"]);
});

it("tells of back-off and of an image that is not to be had", () => {
  expect(reasons(newsFor(endedContainer("app", 1)))).toEqual(["Pulling", "Pulled", "Created", "Started", "BackOff"]);
  const unpulled = (agoMs: number, step: "pull" | "image-absent" = "pull") =>
    containerOf("app", { state: "STOPPED", finishedAtMs: NOW_MS - agoMs, startFailure: { step, words: "no such image" } });
  const first = newsFor(unpulled(0));
  expect(first.events.map(({ reason, message }) => [reason, message])).toEqual([
    ["Pulling", 'Pulling image "localhost:4566/app:1"'],
    ["Failed", 'Failed to pull image "localhost:4566/app:1": no such image'],
    ["Failed", "Error: ErrImagePull"],
  ]);
  expect(reasons(newsFor(unpulled(0), first.told))).toEqual([]);
  // The same try, called after its back-off now; each try is told of.
  expect(reasons(newsFor(unpulled(5000), first.told))).toEqual(["BackOff", "Failed"]);
  expect(reasons(newsFor(unpulled(1), first.told))).toEqual(["Pulling", "Failed", "Failed"]);
  expect(reasons(newsFor(unpulled(0, "image-absent")))).toEqual(["ErrImageNeverPull", "Failed"]);
});

it("tells of what a probe or hook holds against a container, once", () => {
  const unhealthy = runningContainer("app", { complaint: { about: "liveness", words: "exit code 1: ", ends: true } });
  const first = newsFor(unhealthy);
  expect(first.events.slice(4).map(({ reason, message }) => [reason, message])).toEqual([
    ["Unhealthy", "Liveness probe failed: exit code 1: "],
    ["Killing", "Container app failed liveness probe, will be restarted"],
  ]);
  expect(reasons(newsFor(unhealthy, first.told))).toEqual([]);
  const hook = runningContainer("app", { complaint: { about: "preStop", words: "x" } });
  expect(reasons(newsFor(hook, first.told))).toEqual(["FailedPreStopHook"]);
});

it("names the container that an event is about", () => {
  const event = { type: "Normal", reason: "Started", message: "m", container: "app" } as const;
  expect(eventObject(pod, event, { suffix: "ab", nowMs: NOW_MS })).toMatchObject({
    metadata: { name: "web.ab", namespace: "default" },
    involvedObject: { kind: "Pod", name: "web", fieldPath: "spec.containers{app}" },
    source: { component: "kubelet", host: "fargate-ip-10-0-1-2.ec2.internal" },
  });
});
