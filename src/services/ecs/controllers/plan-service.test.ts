import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { DeploymentRecord, ServiceRecord } from "../records.ts";
import { SERVICE_TRANSITIONS, mayFollow } from "../transitions.ts";
import { planService, type ServicePlan } from "./plan-service.ts";
import { backOff, boundsOf, breakerThreshold } from "./rollout-arithmetic.ts";
import { isHealthy, type PlannedTarget, type PlannedTask, SETTLE_MS } from "./service-observation.ts";

const SUBNETS = [
  { subnetId: "subnet-a", availabilityZone: "a" },
  { subnetId: "subnet-b", availabilityZone: "b" },
];
const GROUP = "arn:targetgroup/x";

function deployment(number: number, change: Partial<DeploymentRecord> = {}): DeploymentRecord {
  return {
    id: `ecs-svc/${number}`,
    status: "PRIMARY",
    revision: {
      id: String(number),
      family: "web",
      taskDefinitionRevision: number,
      platformVersion: "LATEST",
      launchType: "FARGATE",
      capacityProviderStrategy: [],
      subnets: SUBNETS,
      vpcId: "vpc-1",
      securityGroupIds: [],
      requestedSecurityGroupIds: [],
      assignPublicIp: false,
      loadBalancers: [],
      createdAtMs: 0,
    },
    createdAtMs: 0,
    updatedAtMs: 0,
    rolloutState: "IN_PROGRESS",
    rolloutStateReason: "",
    failedTasks: 0,
    healthFailures: 0,
    reachedRunning: false,
    serviceDeploymentId: "x",
    ...change,
  };
}

function service(change: Partial<ServiceRecord> = {}): ServiceRecord {
  return {
    account: "111122223333",
    region: "us-east-1",
    cluster: "default",
    name: "web",
    status: "ACTIVE",
    desiredCount: 2,
    createdAtMs: 0,
    createdBy: "me",
    maximumPercent: 200,
    minimumHealthyPercent: 100,
    circuitBreaker: { enable: false, rollback: false },
    availabilityZoneRebalancing: "ENABLED",
    healthCheckGracePeriodSeconds: 0,
    propagateTags: "NONE",
    enableECSManagedTags: false,
    tags: [],
    deployments: [deployment(1)],
    events: [],
    standing: {},
    requestHash: "",
    ...change,
  };
}

/** A world of tasks that does what the plans say. */
class World {
  service: ServiceRecord;
  tasks: PlannedTask[] = [];
  nowMs = 1_000_000;
  events: string[] = [];
  withTargets = false;
  hasHealthCheck = false;
  #next = 1;

  constructor(change: Partial<ServiceRecord> = {}) {
    this.service = service(change);
  }

  step(): ServicePlan {
    const plan = planService({ service: this.service, tasks: this.tasks, nowMs: this.nowMs });
    expect(mayFollow(SERVICE_TRANSITIONS, this.service.status, plan.service.status)).toBe(true);
    this.service = plan.service;
    this.events.push(...plan.events);
    this.tasks = this.tasks.map((task) => {
      const stop = plan.stops.find((each) => each.taskId === task.id);
      return {
        ...task,
        settled: task.settled || plan.settled.includes(task.id),
        announced: task.announced || plan.announced.includes(task.id),
        ...(stop === undefined ? {} : { phase: "stopping" as const, stop: { code: "ServiceSchedulerInitiated" as const, reason: stop.reason } }),
      };
    });
    for (const start of plan.starts) this.add(start.deploymentId, start.subnet);
    return plan;
  }

  add(deploymentId: string, subnet = { subnetId: "subnet-a", availabilityZone: "a" }): PlannedTask {
    const task: PlannedTask = {
      id: `t${String(this.#next++).padStart(5, "0")}`,
      deploymentId,
      ...subnet,
      createdAtMs: this.nowMs,
      phase: "pending",
      hasHealthCheck: this.hasHealthCheck,
      health: "UNKNOWN",
      targets: this.withTargets ? [{ targetGroupArn: GROUP, port: 8080, state: "unregistered" }] : [],
      settled: false,
      announced: false,
    };
    this.tasks.push(task);
    return task;
  }

  change(which: (task: PlannedTask) => boolean, change: Partial<PlannedTask>): void {
    this.tasks = this.tasks.map((task) => (which(task) ? { ...task, ...change } : task));
  }

  /** All pending ones run, all stopping ones stop. */
  progress(): void {
    this.change((task) => task.phase === "pending", { phase: "running", startedAtMs: this.nowMs });
    this.change((task) => task.phase === "stopping", { phase: "stopped", stoppedAtMs: this.nowMs });
    this.nowMs += SETTLE_MS;
  }

  target(which: (task: PlannedTask) => boolean, state: PlannedTarget["state"]): void {
    this.change((task) => which(task) && task.phase === "running", {
      targets: [{ targetGroupArn: GROUP, port: 8080, state, reason: "Request timed out" }],
    });
  }

  live(deploymentId?: string): PlannedTask[] {
    return this.tasks.filter(
      (task) => (task.phase === "pending" || task.phase === "running") && (deploymentId === undefined || task.deploymentId === deploymentId),
    );
  }

  steady(): this {
    for (let turn = 0; turn < 20; turn++) {
      this.step();
      this.progress();
      this.target(() => true, "healthy");
      this.change((task) => task.hasHealthCheck && task.phase === "running", { health: "HEALTHY" });
    }
    this.events = [];
    return this;
  }

  deploy(number: number): void {
    const replaced = this.service.deployments.map((each) => ({ ...each, status: "ACTIVE" as const }));
    this.service = { ...this.service, deployments: [deployment(number, { createdAtMs: this.nowMs }), ...replaced] };
  }
}

const primaryOf = (world: World): DeploymentRecord | undefined => world.service.deployments[0];

describe("starting", () => {
  it("starts what is missing, over the zones, and tells when it is done", () => {
    const world = new World({ desiredCount: 4 });
    expect(world.step().starts.map((start) => start.subnet.availabilityZone)).toEqual(["a", "b", "a", "b"]);
    world.progress();
    world.step();
    expect(primaryOf(world)?.rolloutState).toBe("COMPLETED");
    expect(world.events).toEqual(["(deployment ecs-svc/1) deployment completed.", "has reached a steady state."]);
    expect(world.step().events).toEqual([]);
  });

  it("does nothing more once its actions are done", () => {
    const world = new World({ desiredCount: 3 }).steady();
    const plan = world.step();
    expect([plan.starts, plan.stops, plan.events, plan.settled]).toEqual([[], [], [], []]);
    expect(plan.service).toBe(world.service);
  });

  it("replaces a task that died after long running at once", () => {
    const world = new World().steady();
    const [victim] = world.live();
    world.change((task) => task.id === victim?.id, {
      phase: "stopped",
      stoppedAtMs: world.nowMs,
      stop: { code: "EssentialContainerExited", reason: "" },
    });
    expect(world.step().starts).toHaveLength(1);
    expect(primaryOf(world)?.failedTasks).toBe(0);
  });

  it("backs off from tasks that never run, up to 15 minutes, and says so once", () => {
    const world = new World({ desiredCount: 1 });
    const waits: number[] = [];
    for (let round = 0; round < 14; round++) {
      world.step();
      world.change((task) => task.phase === "pending", {
        phase: "stopped",
        stoppedAtMs: world.nowMs,
        stop: { code: "TaskFailedToStart", reason: "" },
      });
      const plan = world.step();
      expect(plan.starts).toEqual([]);
      waits.push(plan.requeueAfterMs ?? 0);
      world.nowMs += plan.requeueAfterMs ?? 0;
    }
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(Math.max(...waits)).toBe(900_000);
    expect(world.events.filter((text) => text === "is unable to consistently start tasks successfully.")).toHaveLength(1);
    expect(primaryOf(world)?.failedTasks).toBe(14);
    world.step();
    world.progress();
    world.step();
    expect(primaryOf(world)?.failedTasks).toBe(0);
  });

  it("counts each failed task once", () => {
    const world = new World({ desiredCount: 3 });
    world.step();
    world.change(() => true, { phase: "stopped", stoppedAtMs: world.nowMs, stop: { code: "TaskFailedToStart", reason: "" } });
    world.step();
    world.step();
    expect(primaryOf(world)?.failedTasks).toBe(3);
    expect(primaryOf(world)?.throttle?.attempts).toBe(1);
  });
});

describe("rolling", () => {
  it("stops old tasks only once new ones are healthy, and drops the replaced deployment when it is drained", () => {
    const world = new World();
    world.withTargets = true;
    world.steady();
    world.deploy(2);
    expect(world.step().starts).toHaveLength(2);
    world.progress();
    world.target((task) => task.deploymentId === "ecs-svc/2", "initial");
    expect(world.step().stops).toEqual([]);
    world.target((task) => task.deploymentId === "ecs-svc/2", "healthy");
    const plan = world.step();
    expect(plan.stops.map((stop) => stop.reason)).toEqual(Array(2).fill("Scaling activity initiated by (deployment ecs-svc/2)"));
    expect(plan.events).toContain("has begun draining connections on 2 tasks.");
    expect(world.service.deployments).toHaveLength(2);
    world.progress();
    world.step();
    expect(world.service.deployments.map((each) => [each.id, each.rolloutState])).toEqual([["ecs-svc/2", "COMPLETED"]]);
  });

  it("goes one by one when the bounds say so", () => {
    const world = new World({ desiredCount: 4, minimumHealthyPercent: 75, maximumPercent: 100 }).steady();
    world.deploy(2);
    const plan = world.step();
    expect([plan.starts.length, plan.stops.length]).toEqual([0, 1]);
    world.progress();
    expect(world.step().starts).toHaveLength(1);
  });

  it("says when the bounds allow nothing", () => {
    const world = new World({ desiredCount: 2, minimumHealthyPercent: 100, maximumPercent: 100 }).steady();
    world.deploy(2);
    world.step();
    expect(world.events[0]).toMatch(/^was unable to stop or start tasks during a deployment because of the service deployment configuration/);
    expect(world.step().events).toEqual([]);
  });

  it("scales in the fullest zone and leaves protected tasks", () => {
    const world = new World({ desiredCount: 4 }).steady();
    world.change((task) => task.availabilityZone === "a", { protectedUntilMs: world.nowMs + 60_000 });
    world.service = { ...world.service, desiredCount: 1 };
    const plan = world.step();
    expect(plan.stops.map((stop) => world.tasks.find((task) => task.id === stop.taskId)?.availabilityZone)).toEqual(["b", "b"]);
    expect(plan.events.some((text) => text.includes("1 tasks under protection"))).toBe(true);
    expect(plan.requeueAfterMs).toBe(60_000);
  });
});

describe("health", () => {
  it("starts a replacement beside an unhealthy task and stops that one when the replacement is healthy", () => {
    const world = new World();
    world.withTargets = true;
    world.steady();
    const [sick] = world.live();
    world.target((task) => task.id === sick?.id, "unhealthy");
    const plan = world.step();
    expect([plan.starts.length, plan.replacing, plan.stops.length]).toEqual([1, 1, 0]);
    world.progress();
    world.target((task) => task.id !== sick?.id, "healthy");
    expect(world.step().stops).toEqual([{ taskId: sick?.id, reason: `Task failed ELB health checks in (target-group ${GROUP})` }]);
    expect(world.events).toContain(`(task ${sick?.id}) (port 8080) is unhealthy in (target-group ${GROUP}) due to (reason Request timed out)`);
  });

  it("leaves an unhealthy task alone in the grace period", () => {
    const world = new World({ healthCheckGracePeriodSeconds: 300 });
    world.withTargets = true;
    world.step();
    world.progress();
    world.target(() => true, "unhealthy");
    const plan = world.step();
    expect([plan.starts, plan.stops]).toEqual([[], []]);
    expect(plan.requeueAfterMs).toBeLessThanOrEqual(300_000);
    world.nowMs += 300_000;
    expect(world.step().starts).not.toEqual([]);
  });

  it("replaces tasks whose container fails its health check", () => {
    const world = new World({ desiredCount: 1, maximumPercent: 100, minimumHealthyPercent: 0 });
    world.hasHealthCheck = true;
    world.steady();
    world.change((task) => task.phase === "running", { health: "UNHEALTHY" });
    expect(world.step().stops.map((stop) => stop.reason)).toEqual(["Task failed container health checks"]);
  });
});

describe("circuit breaker", () => {
  it("rolls back to the last completed deployment", () => {
    const world = new World({ circuitBreaker: { enable: true, rollback: true } }).steady();
    world.deploy(2);
    for (let round = 0; round < 6 && primaryOf(world)?.id === "ecs-svc/2"; round++) {
      world.step();
      world.change((task) => task.phase === "pending", {
        phase: "stopped",
        stoppedAtMs: world.nowMs,
        stop: { code: "TaskFailedToStart", reason: "" },
      });
      world.nowMs += 60_000;
    }
    const states = (): unknown => world.service.deployments.map((each) => [each.id, each.status, each.rolloutState]);
    // The history learns of the failed one's end from the record.
    expect(states()).toEqual([
      ["ecs-svc/1", "PRIMARY", "IN_PROGRESS"],
      ["ecs-svc/2", "ACTIVE", "FAILED"],
    ]);
    world.step();
    expect(states()).toEqual([["ecs-svc/1", "PRIMARY", "COMPLETED"]]);
    expect(world.events).toContain("(deployment ecs-svc/2) deployment failed: tasks failed to start.");
    expect(world.events).toContain("rolling back to deployment ecs-svc/1.");
    expect(world.live("ecs-svc/1")).toHaveLength(2);
  });

  it("stalls without rollback: the old tasks stay, no new ones come", () => {
    const world = new World({ circuitBreaker: { enable: true, rollback: false } }).steady();
    world.deploy(2);
    for (let round = 0; round < 6; round++) {
      world.step();
      world.change((task) => task.phase === "pending", {
        phase: "stopped",
        stoppedAtMs: world.nowMs,
        stop: { code: "TaskFailedToStart", reason: "" },
      });
      world.nowMs += 1_000_000;
    }
    expect(primaryOf(world)).toMatchObject({ rolloutState: "FAILED", rolloutStateReason: "ECS deployment circuit breaker: tasks failed to start." });
    expect(world.step().starts).toEqual([]);
    expect(world.live("ecs-svc/1")).toHaveLength(2);
  });

  it("has AWS's thresholds", () => {
    expect([1, 6, 7, 50, 1000].map(breakerThreshold)).toEqual([3, 3, 4, 25, 200]);
  });
});

it("drains and goes INACTIVE when the last task is gone", () => {
  const world = new World().steady();
  world.service = { ...world.service, status: "DRAINING", desiredCount: 0 };
  expect(world.step().stops).toHaveLength(2);
  expect(world.service.status).toBe("DRAINING");
  world.progress();
  world.step();
  expect(world.service).toMatchObject({ status: "INACTIVE", deployments: [] });
});

it("counts tasks made before a back-off to the failure that began it", () => {
  const first = backOff(deployment(1), { kind: "start", createdAtMs: 0, nowMs: 1000 });
  expect(backOff(first, { kind: "start", createdAtMs: 0, nowMs: 1500 })).toBe(first);
  expect(backOff(first, { kind: "start", createdAtMs: 2000, nowMs: 2500 }).throttle?.attempts).toBe(2);
});

describe("from any state", () => {
  const someTask = fc.record({
    deployment: fc.constantFrom("ecs-svc/1", "ecs-svc/2"),
    phase: fc.constantFrom<PlannedTask["phase"]>("pending", "running", "stopping", "stopped"),
    zone: fc.constantFrom(0, 1),
    sick: fc.boolean(),
  });
  const someWorld = fc.record({
    desired: fc.integer({ min: 0, max: 8 }),
    minimum: fc.integer({ min: 0, max: 100 }),
    // Below this, rounding may leave no room to move at all, as on AWS.
    maximum: fc.integer({ min: 200, max: 300 }),
    targets: fc.boolean(),
    tasks: fc.array(someTask, { maxLength: 12 }),
    lots: fc.infiniteStream(fc.integer({ min: 0, max: 3 })),
  });

  it("comes to what is wanted, never above the upper bound by its own doing, never below the lower one", () => {
    fc.assert(
      fc.property(someWorld, ({ desired, minimum, maximum, targets, tasks, lots }) => {
        const world = new World({
          desiredCount: desired,
          minimumHealthyPercent: minimum,
          maximumPercent: maximum,
          deployments: [deployment(2), deployment(1, { status: "ACTIVE", rolloutState: "COMPLETED" })],
        });
        world.withTargets = targets;
        for (const each of tasks) seed(world, each);
        const { lower, upper } = boundsOf(world.service);
        for (let turn = 0; turn < 120; turn++) {
          const liveBefore = world.live().length;
          const healthyBefore = healthy(world);
          const plan = world.step();
          if (plan.starts.length > 0) expect(world.live().length + plan.stops.length).toBeLessThanOrEqual(Math.max(upper, liveBefore));
          expect(healthy(world)).toBeGreaterThanOrEqual(Math.min(lower, healthyBefore));
          wander(world, lots);
        }
        expect(world.live()).toHaveLength(desired);
        expect(world.live("ecs-svc/1")).toEqual([]);
        expect(world.service.deployments.map((each) => each.rolloutState)).toEqual(["COMPLETED"]);
      }),
      { numRuns: 300 },
    );
  });

  const healthy = (world: World): number => world.tasks.filter((task) => isHealthy(task, world.nowMs)).length;

  function seed(world: World, each: { deployment: string; phase: PlannedTask["phase"]; zone: number; sick: boolean }): void {
    const task = world.add(each.deployment, SUBNETS[each.zone]);
    const running = each.phase === "running" || each.phase === "stopping";
    world.change((other) => other.id === task.id, {
      phase: each.phase,
      ...(running ? { startedAtMs: world.nowMs - 60_000 } : {}),
      ...(each.phase === "stopped" ? { stoppedAtMs: world.nowMs, stop: { code: "EssentialContainerExited", reason: "" } } : {}),
      targets: task.targets.map((target) => ({ ...target, state: running ? (each.sick ? "unhealthy" : "healthy") : "unregistered" })),
    });
  }

  /** Each task may move on or not; none fails by itself. */
  function wander(world: World, lots: Iterator<number>): void {
    const moves = (): boolean => lots.next().value !== 0;
    world.tasks = world.tasks.map((task): PlannedTask => {
      if (!moves()) return task;
      if (task.phase === "pending")
        return { ...task, phase: "running", startedAtMs: world.nowMs, targets: task.targets.map((target) => ({ ...target, state: "initial" })) };
      if (task.phase === "stopping") return { ...task, phase: "stopped", stoppedAtMs: world.nowMs };
      if (task.phase === "running")
        return { ...task, targets: task.targets.map((target) => (target.state === "initial" ? { ...target, state: "healthy" } : target)) };
      return task;
    });
    world.nowMs += 2_000;
  }
});
