import { describe, expect, it } from "vitest";
import type { ContainerStatus, StopReason, WorkloadState } from "../../contracts/engine.ts";
import type { TargetHealth } from "../../contracts/load-balancer.ts";
import type { ServiceRecord, TaskRecord } from "../../services/ecs/records.ts";
import type { StatusFacts, TaskFacts } from "./facts.ts";
import { judgeStatus, statusReport } from "./judge.ts";

const NOW_MS = Date.UTC(2026, 0, 1, 12);
const MINUTE_MS = 60_000;
const PLACE = { account: "100000000000", region: "us-east-1", cluster: "default" };
const CALM: StatusFacts = {
  nowMs: NOW_MS,
  services: [],
  tasks: [],
  targetGroups: [],
  failedLoadBalancers: [],
  clusters: [],
  logs: { droppedBytes: 0, failing: [] },
};

interface ServiceShape {
  readonly desiredCount: number;
  readonly changedMinutesAgo: number;
  readonly event?: string;
  readonly failed?: string;
}

function service({ desiredCount, changedMinutesAgo, event, failed }: ServiceShape): ServiceRecord {
  const updatedAtMs = NOW_MS - changedMinutesAgo * MINUTE_MS;
  return {
    ...PLACE,
    name: "web",
    status: "ACTIVE",
    desiredCount,
    createdAtMs: NOW_MS - 60 * MINUTE_MS,
    deployments: [{ updatedAtMs, rolloutState: failed === undefined ? "COMPLETED" : "FAILED", rolloutStateReason: failed ?? "" }],
    events: event === undefined ? [] : [{ id: "e", createdAtMs: updatedAtMs, message: event }],
  } as unknown as ServiceRecord;
}

interface TaskShape {
  readonly state: WorkloadState;
  readonly minutesAgo?: number;
  readonly stop?: StopReason;
  readonly container?: Partial<ContainerStatus>;
  readonly loose?: boolean;
}

function task({ state, minutesAgo = 30, stop, container, loose = false }: TaskShape): TaskFacts {
  const atMs = NOW_MS - minutesAgo * MINUTE_MS;
  const record = {
    ...PLACE,
    createdAtMs: atMs,
    group: loose ? "family:job" : "service:web",
    ...(loose ? {} : { service: { name: "web", deploymentId: "d" } }),
  } as unknown as TaskRecord;
  const containers = container === undefined ? [] : [{ name: "app", ...container }];
  return { record, status: { state, stop, containers, ...(state === "STOPPED" && { stoppedAtMs: atMs }) } as unknown as TaskFacts["status"] };
}

const running = task({ state: "RUNNING" });
const crashed = (minutesAgo: number): TaskFacts =>
  task({
    state: "STOPPED",
    minutesAgo,
    stop: { code: "EssentialContainerExited", reason: "Essential container in task exited" },
    container: { exitCode: 137, reason: "OutOfMemoryError: Container killed due to memory usage" },
  });
const neverStarted = (loose: boolean): TaskFacts =>
  task({ state: "STOPPED", minutesAgo: 1, loose, stop: { code: "TaskFailedToStart", reason: "CannotPullContainerError: no such image" } });

describe("a service", () => {
  it("is well with all its tasks, and while it comes up", () => {
    expect(judgeStatus({ ...CALM, services: [service({ desiredCount: 2, changedMinutesAgo: 30 })], tasks: [running, running] })).toEqual([]);
    expect(judgeStatus({ ...CALM, services: [service({ desiredCount: 2, changedMinutesAgo: 0.5 })], tasks: [running] })).toEqual([]);
    const replaced = task({ state: "PENDING", minutesAgo: 0.2 });
    expect(judgeStatus({ ...CALM, services: [service({ desiredCount: 2, changedMinutesAgo: 30 })], tasks: [running, replaced] })).toEqual([]);
  });

  it("that does not reach its count says the last event and the last end, and what to look at", () => {
    const short = service({ desiredCount: 3, changedMinutesAgo: 5, event: "(service web) was unable to place a task: RESOURCE:MEMORY." });
    expect(judgeStatus({ ...CALM, services: [short], tasks: [running] })).toEqual([
      {
        kind: "service",
        subject: "service web (cluster default)",
        what: "1 of 3 tasks run; the last event: (service web) was unable to place a task: RESOURCE:MEMORY.",
        todo: "`tidegate ps` shows where its tasks are; `aws ecs describe-services --services web` shows all events.",
      },
    ]);
    const fresh = service({ desiredCount: 1, changedMinutesAgo: 0.1 });
    const [problem] = judgeStatus({ ...CALM, services: [fresh], tasks: [neverStarted(false)] });
    expect(problem?.what).toBe("0 of 1 tasks run; the last end: CannotPullContainerError: no such image");
    expect(problem?.todo).toContain("tidegate ps --all");
  });

  it("whose tasks keep ending is not well, though it is always brought back to its count", () => {
    const facts = { ...CALM, services: [service({ desiredCount: 1, changedMinutesAgo: 30 })] };
    expect(judgeStatus({ ...facts, tasks: [running, crashed(1), crashed(4)] })).toEqual([]);
    expect(judgeStatus({ ...facts, tasks: [running, crashed(11), crashed(1), crashed(4)] })).toEqual([]);
    const [problem] = judgeStatus({ ...facts, tasks: [running, crashed(9), crashed(1), crashed(4)] });
    expect(problem).toMatchObject({
      kind: "tasks",
      what:
        "its tasks keep ending: 3 in the last 10 minutes; the last end: Essential container in task exited " +
        "(container app: exit code 137, OutOfMemoryError: Container killed due to memory usage)",
      todo: "`tidegate logs web` shows what it wrote before it ended.",
    });
  });

  it("says that its last deployment failed, and is not asked for when it is gone", () => {
    const failed = service({ desiredCount: 1, changedMinutesAgo: 30, failed: "ECS deployment circuit breaker: tasks failed to start." });
    expect(judgeStatus({ ...CALM, services: [failed], tasks: [running] })[0]?.what).toContain("circuit breaker");
    expect(judgeStatus({ ...CALM, services: [{ ...failed, status: "DRAINING" }] })).toEqual([]);
  });
});

it("tasks of a family that do not start are told from the third on", () => {
  expect(judgeStatus({ ...CALM, tasks: [neverStarted(true), neverStarted(true)] })).toEqual([]);
  expect(judgeStatus({ ...CALM, tasks: [neverStarted(true), neverStarted(true), neverStarted(true)] })).toMatchObject([
    { kind: "tasks", subject: "tasks of family:job (cluster default)", what: expect.stringContaining("3 tasks did not start") as string },
  ]);
});

it("a target group without a healthy target says why of one", () => {
  const target = (state: TargetHealth["state"]): TargetHealth => ({
    targetGroupArn: "arn",
    ip: "10.0.0.4",
    port: 80,
    state,
    ...(state === "unhealthy" && { reason: "Target.Timeout", description: "Request timed out" }),
  });
  const group = (...states: readonly TargetHealth["state"][]): StatusFacts => ({
    ...CALM,
    targetGroups: [{ name: "web", healthPath: "/health", targets: states.map(target) }],
  });
  for (const states of [["healthy", "unhealthy"], ["initial"], ["unused"], ["draining"], []] as const)
    expect(judgeStatus(group(...states))).toEqual([]);
  expect(judgeStatus(group("unhealthy", "draining"))).toEqual([
    {
      kind: "target-group",
      subject: "target group web",
      what: "none of its 2 targets is healthy; 10.0.0.4:80: Target.Timeout: Request timed out",
      todo: "Does the container listen on port 80 and answer /health, and does its security group admit the load balancer's?",
    },
  ]);
});

it("a load balancer that could not be made", () => {
  const kinds = judgeStatus({
    ...CALM,
    failedLoadBalancers: [{ name: "front", reason: "subnet is full" }],
  }).map(({ kind, what }) => [kind, what]);
  expect(kinds).toEqual([["load-balancer", "it could not be made: subnet is full"]]);
});

it("logs that cannot be stored, and lines that were dropped lately", () => {
  const failing = [{ stream: "/web:w/1", sinceMs: NOW_MS - MINUTE_MS, error: "no space left on device" }];
  const logs = { failing, droppedBytes: 3e6, lastDrop: { atMs: NOW_MS - MINUTE_MS, stream: "/web:w/2" } };
  expect(judgeStatus({ ...CALM, logs }).map(({ kind, subject, what }) => [kind, subject, what])).toEqual([
    ["logs", "logs", "the logs of 1 containers cannot be stored, that of stream /web:w/1 since 2026-01-01T11:59:00.000Z: no space left on device"],
    ["logs", "logs of /web:w/2", "log lines were dropped, 3 MiB since the start, the last of stream /web:w/2"],
  ]);
  const longAgo = { atMs: NOW_MS - 11 * MINUTE_MS, stream: "/web:w/2" };
  expect(judgeStatus({ ...CALM, logs: { failing: [], droppedBytes: 3e6, lastDrop: longAgo } })).toEqual([]);
});

it("the report is ok exactly when nothing is wrong; a daemon that is down, a controller that is stuck and a start under way are problems", () => {
  const own = { version: "1", instanceId: "abcdef", serving: true };
  const well = { name: "containerd", ok: true, detail: "pid 7" };
  expect(statusReport({ ...own, checks: [well] }, [])).toEqual({ status: "ok", ...own, checks: [well], problems: [] });
  const checks = [
    well,
    { name: "start", ok: false, detail: "Tidegate is starting" },
    { name: "haproxy-vpc-1", ok: false, detail: "down, restarted 3 times" },
    { name: "publish 0.0.0.0:80", ok: false, detail: "there is no load balancer web" },
    { name: "ecs-service", ok: false, detail: "2 keys do not converge; k: no" },
    { name: "disk", ok: false, detail: "1 MiB free" },
    { name: "open files", ok: false, detail: "99 of 100" },
  ];
  const report = statusReport({ ...own, checks }, []);
  expect(report.status).toBe("unhealthy");
  expect(report.problems.map(({ kind, subject }) => [kind, subject])).toEqual([
    ["start", "start"],
    ["daemon", "haproxy-vpc-1"],
    ["publish", "publish 0.0.0.0:80"],
    ["controller", "controller ecs-service"],
    ["disk", "disk"],
    ["open files", "open files"],
  ]);
});

describe("EKS's clusters", () => {
  const ACTIVE = { state: "ACTIVE", failures: 0, workloadId: "w" } as const;
  const workload = (state: WorkloadState, etcd: ContainerStatus["state"], acceptedMinutesAgo = 30): TaskFacts["status"] => {
    const containers = [{ name: "etcd", state: etcd, exitCode: 2, restartCount: 7 }];
    return { state, containers, acceptedAtMs: NOW_MS - acceptedMinutesAgo * MINUTE_MS } as unknown as TaskFacts["status"];
  };
  const judged = (cluster: Omit<StatusFacts["clusters"][number], "name">): string =>
    judgeStatus({ ...CALM, clusters: [{ name: "shop", ...cluster }] })
      .map(({ subject, what }) => `${subject}: ${what}`)
      .join();

  it("are well on their way up, and with a control plane that runs whole, or is new", () => {
    expect(judged({ plane: { state: "CREATING", failures: 0 }, status: undefined })).toBe("");
    expect(judged({ plane: ACTIVE, status: workload("RUNNING", "RUNNING") })).toBe("");
    expect(judged({ plane: ACTIVE, status: workload("PENDING", "PENDING", 0.5) })).toBe("");
  });

  it("are not, once they have failed, or lack a control plane or a part of it", () => {
    expect(judged({ plane: { state: "FAILED", failures: 3, issue: "no Go" }, status: undefined })).toBe("EKS cluster shop: no Go");
    expect(judged({ plane: ACTIVE, status: undefined })).toContain("does not run");
    expect(judged({ plane: ACTIVE, status: workload("PENDING", "PENDING") })).toContain("does not run");
    expect(judged({ plane: ACTIVE, status: workload("RUNNING", "STOPPED") })).toContain("its etcd does not start (exit code 2, 7 restarts)");
  });
});
