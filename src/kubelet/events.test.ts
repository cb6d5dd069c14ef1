import { expect, it } from "vitest";
import { eventObject, newsOf } from "./events.ts";
import { podStatus } from "./pod-status.ts";
import { containerOf, endedContainer, NOW_MS, PLACEMENT, runningContainer, testPod, workloadOf } from "./testing.ts";

const pod = testPod();
const newsFor = (container: Parameters<typeof workloadOf>[0][number], told: Readonly<Record<string, string>> = {}) =>
  newsOf(pod, podStatus({ pod, placement: PLACEMENT, workload: workloadOf([container]), nowMs: NOW_MS }), told);
const reasons = (news: ReturnType<typeof newsFor>): readonly string[] => news.events.map(({ reason }) => reason);

it("tells of a start once, and of each restart", () => {
  const first = newsFor(runningContainer("app"));
  expect(reasons(first)).toEqual(["Pulled", "Created", "Started"]);
  expect(reasons(newsFor(runningContainer("app"), first.told))).toEqual([]);
  expect(reasons(newsFor(runningContainer("app", { restartCount: 1 }), first.told))).toEqual(["Pulled", "Created", "Started"]);
});

it("tells of back-off and of an image that is not to be had", () => {
  expect(reasons(newsFor(endedContainer("app", 1)))).toEqual(["Pulled", "Created", "Started", "BackOff"]);
  const unpulled = containerOf("app", { state: "STOPPED", reason: "CannotPullContainerError: no such image" });
  expect(newsFor(unpulled).events).toMatchObject([
    { type: "Warning", reason: "Failed" },
    { type: "Normal", reason: "BackOff", message: `Back-off pulling image "localhost:4566/app:1"` },
  ]);
});

it("names the container that an event is about", () => {
  const event = { type: "Normal", reason: "Started", message: "m", container: "app" } as const;
  expect(eventObject(pod, event, { suffix: "ab", nowMs: NOW_MS })).toMatchObject({
    metadata: { name: "web.ab", namespace: "default" },
    involvedObject: { kind: "Pod", name: "web", fieldPath: "spec.containers{app}" },
    source: { component: "kubelet", host: "fargate-ip-10-0-1-2.ec2.internal" },
  });
});
