import { describe, expect, it } from "vitest";
import type { StartFailure, WorkloadStatus } from "../contracts/engine.ts";
import { podStatus, type WrittenStatus } from "./pod-status.ts";
import { containerOf, endedContainer, NOW_MS, PLACEMENT, runningContainer, testContainer, testPod, workloadOf } from "./testing.ts";

type Spec = Parameters<typeof testPod>[0];

function statusOf(
  workload: WorkloadStatus | undefined,
  spec: Spec = {},
  more: Parameters<typeof testPod>[1] = {},
  placement = PLACEMENT,
): WrittenStatus {
  return podStatus({ pod: testPod(spec, more), placement, workload, nowMs: NOW_MS });
}
const conditionOf = (status: WrittenStatus, type: string): unknown => status.conditions.find((each) => each.type === type);
const ALL_EXITED = {
  state: "STOPPED",
  desired: "STOPPED",
  stop: { code: "EssentialContainerExited", reason: "All containers have exited" },
} as const;

describe("a pod's phase", () => {
  it("is Pending until every container has run once", () => {
    expect(statusOf(undefined)).toMatchObject({ phase: "Pending", containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } } }] });
    const two = { containers: [testContainer(), testContainer({ name: "other" })] };
    expect(statusOf(workloadOf([runningContainer("app"), containerOf("other")]), two).phase).toBe("Pending");
  });

  it("is Pending while an init container works, and the others say what they wait for", () => {
    const spec = { initContainers: [testContainer({ name: "first" })] };
    const status = statusOf(workloadOf([runningContainer("first"), containerOf("app")]), spec);
    expect(status).toMatchObject({ phase: "Pending", containerStatuses: [{ state: { waiting: { reason: "PodInitializing" } } }] });
    // Init containers whose turn has not come say the same.
    expect(statusOf(undefined, spec).initContainerStatuses).toMatchObject([{ state: { waiting: { reason: "PodInitializing" } } }]);
    expect(conditionOf(status, "Initialized")).toMatchObject({ status: "False", message: "containers with incomplete status: [first]" });
    const after = statusOf(workloadOf([endedContainer("first", 0), runningContainer("app")]), spec);
    expect(after).toMatchObject({ phase: "Running", initContainerStatuses: [{ ready: true, state: { terminated: { reason: "Completed" } } }] });
    expect(conditionOf(after, "Initialized")).toMatchObject({ status: "True" });
  });

  it("is Pending while init containers work anew, though the others have run in the workload before", () => {
    const spec = { initContainers: [testContainer({ name: "first" })] };
    const placement = { ...PLACEMENT, lastEnds: { app: { attempt: 0, exitCode: 1 } } };
    expect(statusOf(workloadOf([runningContainer("first"), containerOf("app")]), spec, {}, placement).phase).toBe("Pending");
  });

  it("is Failed when an init container failed that does not run again", () => {
    const spec = { initContainers: [testContainer({ name: "first" })], restartPolicy: "Never" };
    const workload = workloadOf([endedContainer("first", 1), containerOf("app", { state: "STOPPED" })], { state: "STOPPED" });
    expect(statusOf(workload, spec).phase).toBe("Failed");
  });

  it("is Running while one container runs, or is to run again", () => {
    const two = { containers: [testContainer(), testContainer({ name: "other" })], restartPolicy: "Never" };
    expect(statusOf(workloadOf([runningContainer("app"), endedContainer("other", 1)]), two).phase).toBe("Running");
    expect(statusOf(workloadOf([endedContainer("app", 1)])).phase).toBe("Running");
  });

  it("is Succeeded when all have ended well, Failed when one has not, and stays so", () => {
    const never = { restartPolicy: "Never" };
    const succeeded = statusOf(workloadOf([endedContainer("app", 0)], ALL_EXITED), never);
    expect(succeeded.phase).toBe("Succeeded");
    expect(conditionOf(succeeded, "Initialized")).toMatchObject({ status: "True", reason: "PodCompleted" });
    expect(conditionOf(succeeded, "PodReadyToStartContainers")).toMatchObject({ status: "False" });
    const failed = statusOf(workloadOf([endedContainer("app", 3)], ALL_EXITED), never);
    expect(failed).toMatchObject({ phase: "Failed", containerStatuses: [{ state: { terminated: { exitCode: 3, reason: "Error" } } }] });
    expect(statusOf(undefined, never, { status: { phase: "Succeeded" } }).phase).toBe("Succeeded");
  });

  it("is Failed with its reason when the deadline has passed", () => {
    const reason = "Pod was active on the node longer than the specified deadline";
    const workload = workloadOf([endedContainer("app", 137)], { state: "STOPPED", stop: { code: "DeadlineExceeded", reason } });
    expect(statusOf(workload)).toMatchObject({ phase: "Failed", reason: "DeadlineExceeded", message: reason });
  });
});

it("is Failed and Evicted, and its disruption told, when it had more on disk than it may", () => {
  const stop = { code: "Evicted", reason: 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ' } as const;
  const status = statusOf(workloadOf([endedContainer("app", 0)], { state: "STOPPED", stop }));
  expect(status).toMatchObject({ phase: "Failed", reason: "Evicted", message: stop.reason });
  expect(status.conditions.find(({ type }) => type === "DisruptionTarget")).toMatchObject({ status: "True", reason: "TerminationByKubelet" });
});

it("is Failed and NodeLost when its node is gone, whatever its containers ended with", () => {
  const workload = workloadOf([endedContainer("app", 0)], { ...ALL_EXITED, stop: { code: "TerminationNotice", reason: "" } });
  const status = statusOf(workload, {}, {}, { ...PLACEMENT, isLost: true });
  expect(status).toMatchObject({ phase: "Failed", reason: "NodeLost" });
  expect(conditionOf(status, "DisruptionTarget")).toMatchObject({ status: "True", reason: "DeletionByPodGC" });
  expect(statusOf(workload, {}, { status: { phase: "Succeeded" } }, { ...PLACEMENT, isLost: true }).phase).toBe("Succeeded");
});

describe("a container's state", () => {
  it("is terminated when it ends because the pod is to end, whatever the restart policy", () => {
    const stop = { code: "UserInitiated", reason: "The pod was deleted" } as const;
    const [container] = statusOf(workloadOf([endedContainer("app", 143)], { state: "STOPPING", desired: "STOPPED", stop })).containerStatuses;
    expect(container?.state).toMatchObject({ terminated: { exitCode: 143 } });
  });

  it("waits for the next run when its workload was lost, or taken down, and another follows", () => {
    const stop = { code: "TerminationNotice", reason: "Tidegate was taken down together with everything it ran." } as const;
    for (const exitCode of [0, 137]) {
      const status = statusOf(workloadOf([endedContainer("app", exitCode)], { state: "DEPROVISIONING", desired: "STOPPED", stop }));
      expect(status).toMatchObject({ phase: "Running", containerStatuses: [{ state: { waiting: {} }, lastState: { terminated: { exitCode } } }] });
    }
  });

  it("is CrashLoopBackOff between two runs, with what the last one ended with", () => {
    const [container] = statusOf(workloadOf([endedContainer("app", 2, { restartCount: 1 })])).containerStatuses;
    expect(container).toMatchObject({ ready: false, restartCount: 1, lastState: { terminated: { exitCode: 2 } } });
    expect(container?.state.waiting).toEqual({
      reason: "CrashLoopBackOff",
      message: "back-off restarting failed container=app pod=web_default(11111111-2222-3333-4444-555555555555)",
    });
  });

  it("says in the next run what the last one ended with, though that was never seen, and of a workload that was lost", () => {
    const end = { attempt: 3, exitCode: 2, terminationMessage: "last words", startedAtMs: NOW_MS - 40_000, finishedAtMs: NOW_MS - 35_000 };
    const terminated = {
      exitCode: 2,
      reason: "Error",
      message: "last words",
      startedAt: new Date(end.startedAtMs).toISOString().replace(".000", ""),
      finishedAt: new Date(end.finishedAtMs).toISOString().replace(".000", ""),
    };
    const before = { name: "app", image: "", imageID: "", ready: false, restartCount: 1, state: {}, lastState: { terminated: { exitCode: 1 } } };
    const pod = { status: { containerStatuses: [before] } };
    const next = runningContainer("app", { restartCount: 4, lastEnd: end });
    expect(statusOf(workloadOf([next]), {}, pod).containerStatuses[0]?.lastState).toEqual({ terminated });
    const placement = { ...PLACEMENT, restarts: { app: 4 }, lastEnds: { app: end } };
    expect(statusOf(undefined, {}, pod, placement).containerStatuses[0]?.lastState).toEqual({ terminated });
    expect(statusOf(workloadOf([runningContainer("app")]), {}, pod, placement).containerStatuses[0]?.lastState).toEqual({ terminated });
    // One that could not be started ended too.
    const unstarted = { attempt: 0, startFailure: { step: "start", words: "no such file" } } as const;
    const after = runningContainer("app", { restartCount: 1, lastEnd: unstarted });
    expect(statusOf(workloadOf([after])).containerStatuses[0]?.lastState).toEqual({
      terminated: { exitCode: 128, reason: "StartError", message: "no such file" },
    });
    // The next one's image cannot be had.
    const unmade = containerOf("app", { state: "STOPPED", restartCount: 0, lastEnd: end, startFailure: { step: "pull", words: "why" } });
    expect(statusOf(workloadOf([unmade])).containerStatuses[0]).toMatchObject({ state: { waiting: {} }, lastState: { terminated } });
  });

  it("remembers it where the workload does not say", () => {
    const terminated = { exitCode: 2, reason: "Error" };
    const before = { name: "app", image: "", imageID: "", ready: false, restartCount: 0, state: {}, lastState: { terminated } };
    const pod = { status: { containerStatuses: [before] } };
    expect(statusOf(workloadOf([runningContainer("app", { restartCount: 1 })]), {}, pod).containerStatuses[0]?.lastState).toEqual({ terminated });
  });

  it("says when memory ran out, and when the image is not to be had", () => {
    const oom = endedContainer("app", 137, { reason: "OutOfMemoryError: Container killed due to memory usage" });
    const never = { restartPolicy: "Never" };
    expect(statusOf(workloadOf([oom], ALL_EXITED), never).containerStatuses[0]?.state.terminated?.reason).toBe("OOMKilled");
    const waiting = (step: StartFailure["step"], agoMs = 60_000, spec = {}): unknown =>
      statusOf(workloadOf([containerOf("app", { state: "STOPPED", finishedAtMs: NOW_MS - agoMs, startFailure: { step, words: "why" } })]), spec)
        .containerStatuses[0];
    const because = (reason: string, message: string): object => ({ restartCount: 0, lastState: {}, state: { waiting: { reason, message } } });
    expect(waiting("pull", 0)).toMatchObject(because("ErrImagePull", "why"));
    expect(waiting("pull")).toMatchObject(because("ImagePullBackOff", 'Back-off pulling image "localhost:4566/app:1": ErrImagePull: why'));
    expect(waiting("image-absent")).toMatchObject({ state: { waiting: { reason: "ErrImageNeverPull" } } });
    expect(waiting("image-name")).toMatchObject({ state: { waiting: { reason: "InvalidImageName" } } });
    expect(waiting("create")).toMatchObject(because("CreateContainerError", "why"));
    // What the runtime could not start ended with 128.
    const ended = { terminated: { exitCode: 128, reason: "StartError", message: "why" } };
    expect(waiting("start", 0)).toMatchObject({ state: { waiting: { reason: "RunContainerError", message: "why" } }, lastState: ended });
    expect(waiting("start")).toMatchObject({ state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: ended });
    expect(waiting("start", 0, { restartPolicy: "Never" })).toMatchObject({ state: ended });
    const config = { reason: "CreateContainerConfigError", message: `configmap "x" not found` };
    expect(statusOf(undefined, {}, {}, { ...PLACEMENT, waiting: config }).containerStatuses[0]?.state).toEqual({ waiting: config });
  });

  it("of a sidecar is to run again whatever it ended with, also where the others are not, and its readiness counts", () => {
    const spec = { restartPolicy: "Never", initContainers: [testContainer({ name: "side", restartPolicy: "Always" })] };
    const status = statusOf(workloadOf([endedContainer("side", 0), runningContainer("app")]), spec);
    expect(status.initContainerStatuses?.[0]?.state.waiting?.reason).toBe("CrashLoopBackOff");
    const unready = statusOf(workloadOf([runningContainer("side", { ready: false }), runningContainer("app")]), spec);
    expect(conditionOf(unready, "Ready")).toMatchObject({ status: "False", message: "containers with unready status: [side]" });
    expect(conditionOf(unready, "Initialized")).toMatchObject({ status: "True" });
  });

  it("has not started before its startup probe has passed", () => {
    const started = (more: object): unknown => statusOf(workloadOf([runningContainer("app", more)])).containerStatuses[0]?.started;
    expect([started({ started: false, ready: false }), started({ started: true }), started({})]).toEqual([false, true, true]);
  });

  it("counts the restarts of the workloads before this one", () => {
    const placement = { ...PLACEMENT, restarts: { app: 2 } };
    expect(statusOf(workloadOf([runningContainer("app", { restartCount: 1 })]), {}, {}, placement).containerStatuses[0]?.restartCount).toBe(3);
  });
});

describe("a pod's conditions", () => {
  it("say ready when all containers are, and the gates of others", () => {
    const running = workloadOf([runningContainer("app")]);
    expect(conditionOf(statusOf(running), "Ready")).toMatchObject({ status: "True" });
    const unready = statusOf(workloadOf([runningContainer("app", { ready: false })]));
    expect(conditionOf(unready, "Ready")).toMatchObject({
      status: "False",
      reason: "ContainersNotReady",
      message: "containers with unready status: [app]",
    });
    const gated = { readinessGates: [{ conditionType: "lb" }] };
    expect(conditionOf(statusOf(running, gated), "Ready")).toMatchObject({ status: "False", reason: "ReadinessGatesNotReady" });
    expect(conditionOf(statusOf(running, gated), "ContainersReady")).toMatchObject({ status: "True" });
    const open = { status: { conditions: [{ type: "lb", status: "True" }] } };
    expect(conditionOf(statusOf(running, gated, open), "Ready")).toMatchObject({ status: "True" });
  });

  it("say that an ended pod is not ready, and why", () => {
    const status = statusOf(workloadOf([endedContainer("app", 0)], ALL_EXITED), { restartPolicy: "Never" });
    expect(conditionOf(status, "Ready")).toMatchObject({ status: "False", reason: "PodCompleted" });
    expect(conditionOf(status, "PodReadyToStartContainers")).toMatchObject({ status: "False" });
  });

  it("move in time only with their status", () => {
    const at = new Date(NOW_MS - 5_000_000);
    const before = { status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: at }] } };
    const running = workloadOf([runningContainer("app")]);
    expect(conditionOf(statusOf(running, {}, before), "Ready")).toMatchObject({ lastTransitionTime: at.toISOString() });
    expect(conditionOf(statusOf(undefined, {}, before), "Ready")).toMatchObject({ lastTransitionTime: "2026-01-01T12:00:00Z" });
  });
});

it("has its address once the sandbox has it", () => {
  expect(statusOf(undefined)).toMatchObject({ hostIP: "10.0.1.2", startTime: "2026-01-01T11:59:00Z" });
  expect(statusOf(undefined).podIP).toBeUndefined();
  expect(statusOf(workloadOf([runningContainer("app")]))).toMatchObject({ podIP: "10.0.1.2", podIPs: [{ ip: "10.0.1.2" }] });
});
