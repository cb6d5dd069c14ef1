import type { Deployment, Service, Task } from "@aws-sdk/client-ecs";
import { describe, expect, test } from "vitest";
import { mostTelling } from "./explain-failure.ts";
import { describeRollOut, judgeRollOut } from "./watch-roll-out.ts";

const NEW = "arn:aws:ecs:us-east-1:100000000000:task-definition/shop:2";
const OLD = "arn:aws:ecs:us-east-1:100000000000:task-definition/shop:1";

const service = (...deployments: readonly Deployment[]): Service => ({
  deployments: [...deployments],
  desiredCount: 2,
  runningCount: deployments.reduce((sum, deployment) => sum + (deployment.runningCount ?? 0), 0),
});
const fresh = (more: Deployment = {}): Deployment => ({
  taskDefinition: NEW,
  desiredCount: 2,
  runningCount: 2,
  rolloutState: "IN_PROGRESS",
  ...more,
});
const old = (more: Deployment = {}): Deployment => ({ taskDefinition: OLD, desiredCount: 2, runningCount: 2, rolloutState: "COMPLETED", ...more });

describe("a roll-out", () => {
  test("is steady when the new revision is complete and alone", () => {
    expect(judgeRollOut({ service: service(fresh({ rolloutState: "COMPLETED" })), ended: 0 }, NEW)).toEqual({ kind: "steady" });
    expect(judgeRollOut({ service: service(fresh({ rolloutState: "COMPLETED" }), old({ runningCount: 1 })), ended: 0 }, NEW)).toEqual({
      kind: "rolling",
    });
    expect(judgeRollOut({ service: service(fresh()), ended: 0 }, NEW)).toEqual({ kind: "rolling" });
  });

  test("has failed when ECS says so, with ECS's reason; an older deployment's failure is not ours", () => {
    const failed = { rolloutState: "FAILED", rolloutStateReason: "tasks failed to start" } as const;
    expect(judgeRollOut({ service: service(old(), fresh(failed)), ended: 0 }, NEW)).toEqual({ kind: "failed", reason: "tasks failed to start" });
    expect(judgeRollOut({ service: service(fresh(), old(failed)), ended: 0 }, NEW)).toEqual({ kind: "rolling" });
  });

  test("has failed when tasks start and end again, though ECS counts each as started", () => {
    expect(judgeRollOut({ service: service(fresh()), ended: 2 }, NEW)).toEqual({ kind: "rolling" });
    expect(judgeRollOut({ service: service(fresh()), ended: 3 }, NEW)).toMatchObject({
      kind: "failed",
      reason: expect.stringContaining("shop:2") as string,
    });
  });

  test("has failed when the service, or its deployment, is gone", () => {
    expect(judgeRollOut({ service: undefined, ended: 0 }, NEW)).toMatchObject({ kind: "failed" });
    expect(judgeRollOut({ service: service(old()), ended: 0 }, NEW)).toMatchObject({ kind: "failed" });
  });

  test("is told in one line", () => {
    const view = { service: service(fresh({ runningCount: 1, pendingCount: 1, failedTasks: 1 }), old({ runningCount: 2 })), ended: 2 };
    expect(describeRollOut(view, NEW)).toBe("1 of 2 running, 1 starting, 2 failed, 2 of the revision before");
    expect(describeRollOut({ service: service(fresh()), ended: 0 }, NEW)).toBe("2 of 2 running");
  });
});

describe("the task that explains a failure", () => {
  const task = (taskArn: string, lastStatus: string, stoppedReason: string): Task => ({ taskArn, lastStatus, stoppedReason });

  test("is the newest that ended by itself and whose log is complete", () => {
    const tasks = [
      task("rolled back", "STOPPED", "Scaling activity initiated by (deployment ecs-svc/1)"),
      task("still ending", "DEPROVISIONING", "Essential container in task exited"),
      task("ended", "STOPPED", "Essential container in task exited"),
      task("ended before", "STOPPED", "Essential container in task exited"),
    ];
    expect(mostTelling(tasks)?.taskArn).toBe("ended");
    expect(mostTelling(tasks.slice(0, 2))?.taskArn).toBe("still ending");
    expect(mostTelling(tasks.slice(0, 1))?.taskArn).toBe("rolled back");
    expect(mostTelling([])).toBeUndefined();
  });
});
