import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ContainerSpec, StartCondition, Workload } from "../contracts/workload.ts";
import { absentContainer, type ObservedContainer } from "./observed.ts";
import { planWorkload, type Step, type WorkloadPlan } from "./plan-workload.ts";
import { testContainer, testWorkload } from "./testing.ts";

const NOW = 1_000_000;

function running(name: string, more: Partial<ObservedContainer> = {}): ObservedContainer {
  return { ...absentContainer(name), attempt: 0, state: "running", everStarted: true, started: true, startedAtMs: NOW - 10_000, ...more };
}
function exited(name: string, exitCode: number, more: Partial<ObservedContainer> = {}): ObservedContainer {
  return { ...running(name), state: "exited", started: false, exitCode, finishedAtMs: NOW - 1000, ...more };
}
function plan(workload: Workload, containers: readonly ObservedContainer[], stopRequested = false, nowMs = NOW): WorkloadPlan {
  return planWorkload(workload, { acceptedAtMs: NOW - 60_000, stopRequested, containers }, nowMs);
}
const after = (container: string, condition: StartCondition["condition"]): Partial<ContainerSpec> => ({ dependsOn: [{ container, condition }] });
const names = (steps: readonly Step[]): string[] => steps.map((step) => `${step.type} ${step.container} ${step.attempt}`);

describe("start", () => {
  it("starts independent containers at once", () => {
    const workload = testWorkload({ containers: [testContainer("a"), testContainer("b")] });
    expect(names(plan(workload, []).steps)).toEqual(["run a 0", "run b 0"]);
  });

  it("starts a container that was made but not started, under its attempt", () => {
    const workload = testWorkload({ containers: [testContainer("a")] });
    expect(names(plan(workload, [{ ...absentContainer("a"), attempt: 2, state: "created" }]).steps)).toEqual(["run a 2"]);
  });

  it("starts a debugger whatever the others do, once", () => {
    const workload = testWorkload({
      containers: [
        testContainer("init", { kind: "init", essential: false }),
        testContainer("web", { essential: false, restart: { policy: "always" } }),
        testContainer("debug", { kind: "ephemeral", essential: false, restart: { policy: "always" } }),
      ],
    });
    const early = [running("init"), absentContainer("web"), absentContainer("debug")];
    expect(names(plan(workload, early).steps)).toEqual(["run debug 0"]);
    const ended = [exited("init", 0), running("web"), exited("debug", 1)];
    expect(plan(workload, ended)).toMatchObject({ steps: [], allStarted: true });
  });

  it("decides nothing about a busy container", () => {
    const workload = testWorkload({ containers: [testContainer("a")] });
    const planned = plan(workload, [{ ...absentContainer("a"), busy: true }]);
    expect(planned.steps).toEqual([]);
    expect(planned.allStarted).toBe(false);
  });

  it.each<[StartCondition["condition"], ObservedContainer, boolean]>([
    ["started", absentContainer("db"), false],
    ["started", { ...absentContainer("db"), attempt: 0, state: "created" }, false],
    ["started", running("db"), true],
    ["started", exited("db", 1), true],
    ["completed", running("db"), false],
    ["completed", exited("db", 3), true],
    ["succeeded", running("db"), false],
    ["succeeded", exited("db", 0), true],
    ["healthy", running("db"), false],
    ["healthy", running("db", { health: "UNHEALTHY" }), false],
    ["healthy", running("db", { health: "HEALTHY" }), true],
  ])("condition %s on %o: %s", (condition, db, starts) => {
    const workload = testWorkload({ containers: [testContainer("db", { essential: false }), testContainer("web", after("db", condition))] });
    const web = plan(workload, [db]).steps.filter((step) => step.container === "web");
    expect(names(web)).toEqual(starts ? ["run web 0"] : []);
  });

  it.each<[StartCondition["condition"], ObservedContainer]>([
    ["succeeded", exited("db", 1)],
    ["healthy", exited("db", 0)],
    ["started", { ...absentContainer("db"), attempt: 0, state: "exited", startFailure: "CannotStartContainerError: no" }],
  ])("ends when %s can never be met", (condition, db) => {
    const workload = testWorkload({ containers: [testContainer("db", { essential: false }), testContainer("web", after("db", condition))] });
    expect(plan(workload, [db]).stop).toEqual({
      code: "TaskFailedToStart",
      reason:
        "TaskDependencyError: failed to resolve the container ordering dependency [db] for target [web] as dependency did not exit successfully.",
    });
  });

  it("gives up on a dependency after its startTimeout, and wakes for it", () => {
    const workload = testWorkload({ containers: [testContainer("db", { startTimeoutSeconds: 20 }), testContainer("web", after("db", "healthy"))] });
    const early = plan(workload, [running("db", { startedAtMs: NOW - 19_000 })]);
    expect(early.stop).toBeUndefined();
    expect(early.wakeAtMs).toBe(NOW + 1000);
    const late = plan(workload, [running("db", { startedAtMs: NOW - 20_000 })]);
    expect(late.stop?.reason).toBe("TaskDependencyError: container ordering dependency [db] for target [web] has timed out.");
  });

  it("runs init containers one after another, sidecars before the rest", () => {
    const workload = testWorkload({
      containers: [
        testContainer("i1", { kind: "init", essential: false }),
        testContainer("side", { kind: "sidecar", essential: false }),
        testContainer("i2", { kind: "init", essential: false }),
        testContainer("main", { essential: false }),
      ],
    });
    expect(names(plan(workload, []).steps)).toEqual(["run i1 0"]);
    expect(names(plan(workload, [running("i1")]).steps)).toEqual([]);
    expect(names(plan(workload, [exited("i1", 0)]).steps)).toEqual(["run side 0"]);
    expect(names(plan(workload, [exited("i1", 0), running("side", { started: false })]).steps)).toEqual([]);
    expect(names(plan(workload, [exited("i1", 0), running("side")]).steps)).toEqual(["run i2 0"]);
    const all = [exited("i1", 0), running("side"), exited("i2", 0)];
    expect(names(plan(workload, all).steps)).toEqual(["run main 0"]);
    expect(plan(workload, all).allStarted).toBe(false);
    expect(plan(workload, [...all, running("main")]).allStarted).toBe(true);
  });

  it("fails when an init container fails for good", () => {
    const workload = testWorkload({ containers: [testContainer("i", { kind: "init", essential: false }), testContainer("main")] });
    expect(plan(workload, [exited("i", 7)]).stop).toEqual({
      code: "TaskFailedToStart",
      reason: "Init container i failed: it ended with exit code 7",
    });
  });

  it("is all started only when each container has run, also those that ended since", () => {
    const workload = testWorkload({ containers: [testContainer("once", { essential: false }), testContainer("web", after("once", "succeeded"))] });
    expect(plan(workload, [exited("once", 0)]).allStarted).toBe(false);
    expect(plan(workload, [exited("once", 0), running("web")]).allStarted).toBe(true);
  });
});

describe("ends by itself", () => {
  it("ends with an essential container", () => {
    const workload = testWorkload({ containers: [testContainer("a"), testContainer("b", { essential: false })] });
    expect(plan(workload, [exited("a", 0), running("b")]).stop).toEqual({
      code: "EssentialContainerExited",
      reason: "Essential container in task exited",
    });
    expect(plan(workload, [running("a"), exited("b", 1)]).stop).toBeUndefined();
  });

  it("says why an essential container could not be started", () => {
    const workload = testWorkload({ containers: [testContainer("a")] });
    const failed: ObservedContainer = { ...absentContainer("a"), attempt: 0, state: "exited", startFailure: "CannotPullContainerError: gone" };
    expect(plan(workload, [failed]).stop).toEqual({ code: "TaskFailedToStart", reason: "CannotPullContainerError: gone" });
  });

  it("goes on when a container that is not essential could not be started", () => {
    const workload = testWorkload({ containers: [testContainer("a"), testContainer("b", { essential: false })] });
    const failed: ObservedContainer = { ...absentContainer("b"), attempt: 0, state: "exited", startFailure: "CannotPullContainerError: gone" };
    const planned = plan(workload, [running("a"), failed]);
    expect(planned.stop).toBeUndefined();
    expect(planned.allStarted).toBe(true);
  });

  it("ends when all main containers of a pod have", () => {
    const workload = testWorkload({
      containers: [testContainer("side", { kind: "sidecar", essential: false }), testContainer("job", { essential: false })],
    });
    expect(plan(workload, [running("side"), exited("job", 0)]).stop?.reason).toBe("All containers have exited");
  });

  it("ends at its deadline", () => {
    const workload = testWorkload({ containers: [testContainer("a")], activeDeadlineSeconds: 90 });
    expect(plan(workload, [running("a")]).wakeAtMs).toBe(NOW + 30_000);
    expect(plan(workload, [running("a")], false, NOW + 30_000).stop?.code).toBe("DeadlineExceeded");
  });
});

describe("restart", () => {
  const ecs = testContainer("a", { restart: { policy: "always", ignoredExitCodes: [42], minimumRunSeconds: 60 } });

  it.each([
    ["ran long enough", exited("a", 1, { startedAtMs: NOW - 61_000 }), true],
    ["also after success", exited("a", 0, { startedAtMs: NOW - 61_000 }), true],
    ["too short", exited("a", 1, { startedAtMs: NOW - 60_000 }), false],
    ["ignored code", exited("a", 42, { startedAtMs: NOW - 99_000 }), false],
    ["never started", exited("a", 1, { startFailure: "CannotStartContainerError: x", startedAtMs: undefined }), false],
  ])("ECS: %s", (_, observed, restarts) => {
    const planned = plan(testWorkload({ containers: [ecs] }), [observed]);
    expect(names(planned.steps)).toEqual(restarts ? ["run a 1"] : []);
    expect(planned.stop === undefined).toBe(restarts);
  });

  const backoff = { initialSeconds: 10, maximumSeconds: 300, resetAfterSeconds: 600 };
  const pod = testWorkload({ containers: [testContainer("a", { essential: false, restart: { policy: "always", backoff } })] });

  it.each([
    [0, 0],
    [1, 10],
    [2, 20],
    [3, 40],
    [6, 300],
    [60, 300],
  ])("Kubernetes: after %i restarts in a row it waits %i s", (streak, seconds) => {
    const observed = exited("a", 1, { restartStreak: streak, finishedAtMs: NOW, startedAtMs: NOW - 1000 });
    const planned = plan(pod, [observed]);
    expect(planned.stop).toBeUndefined();
    if (seconds === 0) return expect(planned.steps).toEqual([{ type: "run", container: "a", attempt: 1, streak: 1, tries: 0 }]);
    expect(planned.steps).toEqual([]);
    expect(planned.wakeAtMs).toBe(NOW + seconds * 1000);
    expect(plan(pod, [observed], false, NOW + seconds * 1000).steps).toEqual([
      { type: "run", container: "a", attempt: 1, streak: streak + 1, tries: 0 },
    ]);
  });

  it("Kubernetes: an exit code's rule comes before the policy", () => {
    const exitCodeRules = [{ operator: "In" as const, values: [42] }];
    const rules = testWorkload({ containers: [testContainer("a", { essential: false, restart: { policy: "never", backoff, exitCodeRules } })] });
    expect(names(plan(rules, [exited("a", 42)]).steps)).toEqual(["run a 1"]);
    expect(plan(rules, [exited("a", 1)]).stop).toBeDefined();
  });

  it("Kubernetes: what could not be made is tried again as the same attempt, under a back-off of its own, whatever the rule", () => {
    const never = testWorkload({ containers: [testContainer("a", { essential: false, restart: { policy: "never", backoff } })] });
    const unmade = { ...absentContainer("a"), state: "exited", attempt: 0, unmade: true, startFailure: "no image", finishedAtMs: NOW } as const;
    expect(plan(never, [unmade])).toMatchObject({ steps: [], wakeAtMs: NOW + 10_000, allStarted: false });
    expect(plan(never, [{ ...unmade, failedTries: 2 }], false, NOW + 40_000).steps).toEqual([
      { type: "run", container: "a", attempt: 0, streak: 0, tries: 3 },
    ]);
    // One that was made and could not be started follows the rule.
    expect(plan(never, [{ ...unmade, unmade: false }]).stop).toBeDefined();
    // It still waits for the init containers before it.
    const rule = { policy: "on-failure" as const, backoff };
    const withInit = testWorkload({ containers: [testContainer("i", { kind: "init", essential: false, restart: rule }), ...never.containers] });
    expect(plan(withInit, [running("i"), unmade], false, NOW + 10_000).steps).toEqual([]);
    expect(names(plan(withInit, [exited("i", 0), unmade], false, NOW + 10_000).steps)).toEqual(["run a 0"]);
  });

  it("Kubernetes: a long run resets the back-off", () => {
    const observed = exited("a", 1, { restartStreak: 5, startedAtMs: NOW - 700_000, finishedAtMs: NOW });
    expect(plan(pod, [observed]).steps).toEqual([{ type: "run", container: "a", attempt: 1, streak: 1, tries: 0 }]);
  });

  it("restarts do not ask for the start conditions again, and do not hold others back", () => {
    const rule = { policy: "always" as const };
    const workload = testWorkload({ containers: [testContainer("db"), testContainer("web", { ...after("db", "healthy"), restart: rule })] });
    expect(names(plan(workload, [running("db", { health: "UNHEALTHY" }), exited("web", 1)]).steps)).toEqual(["run web 1"]);
  });

  it("kills what a probe condemns", () => {
    const planned = plan(pod, [running("a", { killReason: "liveness" })]);
    expect(planned.steps).toEqual([{ type: "stop", container: "a", attempt: 0, graceSeconds: 30 }]);
  });
});

describe("stop", () => {
  it("starts nothing and stops in reverse order of dependence", () => {
    const workload = testWorkload({
      containers: [
        testContainer("db"),
        testContainer("api", after("db", "started")),
        testContainer("web", { ...after("api", "started"), stopTimeoutSeconds: 5 }),
      ],
    });
    const all = [running("db"), running("api"), running("web")];
    expect(plan(workload, all, true).steps).toEqual([{ type: "stop", container: "web", attempt: 0, graceSeconds: 5 }]);
    expect(names(plan(workload, [running("db"), running("api"), running("web", { busy: true })], true).steps)).toEqual([]);
    expect(names(plan(workload, [running("db"), running("api"), exited("web", 0)], true).steps)).toEqual(["stop api 0"]);
    expect(names(plan(workload, [running("db"), exited("api", 0), exited("web", 0)], true).steps)).toEqual(["stop db 0"]);
    const done = plan(workload, [exited("db", 0), exited("api", 0), absentContainer("web")], true);
    expect(done).toMatchObject({ steps: [], ended: true });
  });

  it("stops sidecars last, in reverse order", () => {
    const workload = testWorkload({
      containers: [testContainer("s1", { kind: "sidecar" }), testContainer("s2", { kind: "sidecar" }), testContainer("m")],
    });
    expect(names(plan(workload, [running("s1"), running("s2"), running("m")], true).steps)).toEqual(["stop m 0"]);
    expect(names(plan(workload, [running("s1"), running("s2"), exited("m", 0)], true).steps)).toEqual(["stop s2 0"]);
    expect(names(plan(workload, [running("s1"), exited("s2", 0), exited("m", 0)], true).steps)).toEqual(["stop s1 0"]);
  });

  it("waits for a start under way, then stops it", () => {
    const workload = testWorkload({ containers: [testContainer("a")] });
    expect(plan(workload, [{ ...absentContainer("a"), busy: true }], true)).toMatchObject({ steps: [], ended: false });
    expect(names(plan(workload, [running("a")], true).steps)).toEqual(["stop a 0"]);
  });

  it("has ended where a container was made but never started", () => {
    const workload = testWorkload({ containers: [testContainer("a")] });
    expect(plan(workload, [{ ...absentContainer("a"), attempt: 0, state: "created" }], true).ended).toBe(true);
  });
});

/** A world that executes plans, with random fates for the containers. */
class World {
  readonly workload: Workload;
  readonly containers = new Map<string, ObservedContainer>();
  readonly live = new Map<string, number>();
  nowMs = NOW;
  stopRequested = false;

  constructor(workload: Workload) {
    this.workload = workload;
    for (const { name } of workload.containers) this.containers.set(name, absentContainer(name));
  }

  plan(): WorkloadPlan {
    return plan(this.workload, [...this.containers.values()], this.stopRequested, this.nowMs);
  }

  apply(step: Step, fate: Fate): void {
    const before = this.containers.get(step.container) ?? absentContainer(step.container);
    if (step.type === "stop") {
      expect(before.state).toBe("running");
      this.containers.set(step.container, { ...before, state: "exited", started: false, exitCode: 143, finishedAtMs: this.nowMs });
      return;
    }
    expect(this.stopRequested).toBe(false);
    expect(before.state).not.toBe("running");
    expect(step.attempt).toBe(before.state === "created" ? before.attempt : before.attempt + 1);
    if (before.attempt < 0) this.expectConditions(step.container);
    if (fate === "start-fails") {
      this.containers.set(step.container, { ...before, attempt: step.attempt, state: "exited", startFailure: "x", finishedAtMs: this.nowMs });
      return;
    }
    this.containers.set(step.container, {
      ...before,
      attempt: step.attempt,
      state: "running",
      everStarted: true,
      started: true,
      startFailure: undefined,
      startedAtMs: this.nowMs,
      restartStreak: step.streak,
      health: fate === "healthy" ? "HEALTHY" : "UNKNOWN",
    });
  }

  exit(name: string, exitCode: number): void {
    const before = this.containers.get(name);
    if (before?.state !== "running") return;
    this.containers.set(name, { ...before, state: "exited", started: false, exitCode, finishedAtMs: this.nowMs });
  }

  expectConditions(name: string): void {
    const spec = this.workload.containers.find((container) => container.name === name);
    for (const { container, condition } of spec?.dependsOn ?? []) {
      const on = this.containers.get(container);
      expect(on?.everStarted).toBe(true);
      if (condition === "succeeded") expect([on?.state, on?.exitCode]).toEqual(["exited", 0]);
      if (condition === "completed") expect(on?.state).toBe("exited");
      if (condition === "healthy") expect(on?.health).toBe("HEALTHY");
    }
  }
}

type Fate = "ok" | "healthy" | "start-fails";

const anyWorkload = fc
  .array(
    fc.record({
      kind: fc.constantFrom<ContainerSpec["kind"]>("main", "main", "main", "init", "sidecar", "ephemeral"),
      essential: fc.boolean(),
      policy: fc.constantFrom<"never" | "on-failure" | "always">("never", "on-failure", "always"),
      backoff: fc.boolean(),
      dependsOn: fc.array(fc.tuple(fc.nat(), fc.constantFrom<StartCondition["condition"]>("started", "completed", "succeeded", "healthy")), {
        maxLength: 2,
      }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((rows) =>
    testWorkload({
      containers: rows.map((row, index) =>
        testContainer(`c${index}`, {
          kind: row.kind,
          essential: row.essential,
          restart: { policy: row.policy, ...(row.backoff && { backoff: { initialSeconds: 10, maximumSeconds: 300, resetAfterSeconds: 600 } }) },
          // Only on earlier ones: no cycles, as admission refuses them.
          dependsOn: index === 0 ? [] : row.dependsOn.map(([target, condition]) => ({ container: `c${target % index}`, condition })),
        }),
      ),
    }),
  );
const events = fc.array(
  fc.record({
    fate: fc.constantFrom<Fate>("ok", "healthy", "start-fails"),
    exit: fc.nat({ max: 5 }),
    exitCode: fc.constantFrom(0, 1, 137),
    waitMs: fc.nat({ max: 400_000 }),
  }),
  { maxLength: 20 },
);

it("whatever happens: conditions hold, one live attempt each, and a stop always ends it", () => {
  fc.assert(
    fc.property(anyWorkload, events, (workload, happenings) => {
      const world = new World(workload);
      for (const { fate, exit, exitCode, waitMs } of happenings) {
        const planned = world.plan();
        if (planned.stop !== undefined) break;
        const touched = planned.steps.map((step) => step.container);
        expect(new Set(touched).size).toBe(touched.length);
        for (const step of planned.steps) world.apply(step, fate);
        world.nowMs += waitMs;
        world.exit(`c${exit}`, exitCode);
      }
      world.stopRequested = true;
      for (let turn = 0; turn <= workload.containers.length; turn++) {
        const planned = world.plan();
        if (planned.ended) return;
        expect(planned.steps.length).toBeGreaterThan(0);
        for (const step of planned.steps) world.apply(step, "ok");
      }
      expect(world.plan().ended).toBe(true);
    }),
    { numRuns: 500 },
  );
});
