/** Tasks that are run and stopped a few at a time, each storm under a name of its own. */
import { DescribeTasksCommand, ListTasksCommand, RunTaskCommand, StopTaskCommand, type Task } from "@aws-sdk/client-ecs";
import { messageOf } from "../../../src/core/problem.ts";
import { until } from "../../support/instance.ts";
import { type ContainerProcess, firstProcesses } from "../../support/kernel.ts";
import type { Bench } from "./bench.ts";

export interface Storms {
  /** Two calls of RunTask with two tasks each; what is acknowledged goes into the ledger. Calls that a kill cuts off are no failure. */
  begin(name: string): Promise<void>;
  /** Waits until each of its tasks runs, each in one process. @throws when one stopped. */
  eachRunsOnce(name: string): Promise<void>;
  /** Asks each to stop, once. */
  stop(name: string): Promise<void>;
  /** Waits until all have ended; those whose stop was not acknowledged are asked again, as their user would. */
  end(name: string): Promise<void>;
}

export async function createStorms({ stack, instance, ledger }: Bench): Promise<Storms> {
  const { ecs } = stack;
  const taskDefinition = await stack.define("sleeper", [{ name: "app" }]);

  const describeTasks = async (tasks: readonly string[]): Promise<readonly Task[]> =>
    tasks.length === 0 ? [] : ((await ecs.send(new DescribeTasksCommand({ tasks: [...tasks] }))).tasks ?? []);
  const tasksOf = async (startedBy: string): Promise<readonly Task[]> => {
    const statuses = ["RUNNING", "STOPPED"] as const;
    const lists = await Promise.all(statuses.map((desiredStatus) => ecs.send(new ListTasksCommand({ startedBy, desiredStatus }))));
    return describeTasks(lists.flatMap(({ taskArns = [] }) => taskArns));
  };
  const processesOf = (name: string): Promise<readonly ContainerProcess[]> => firstProcesses(instance.instanceId, `${name}-`);

  return {
    async begin(name) {
      const command = ["sh", "-c", `trap 'exit 0' TERM; while :; do sleep 0.3; : ${name}-; done`];
      const overrides = { containerOverrides: [{ name: "app", command }] };
      const request = { taskDefinition, count: 2, launchType: "FARGATE", startedBy: name, networkConfiguration: stack.network(), overrides } as const;
      const call = () =>
        ledger.acknowledged(
          `RunTask of ${name}`,
          () => ecs.send(new RunTaskCommand(request)),
          async ({ tasks = [] }) => (await describeTasks(tasks.map(({ taskArn = "" }) => taskArn))).length === 2,
        );
      await Promise.all([call(), call()]);
    },
    async eachRunsOnce(name) {
      let stopped: Task | undefined;
      let seen = "";
      const eachOnce = async (): Promise<boolean> => {
        const tasks = await tasksOf(name);
        stopped = tasks.find(({ lastStatus }) => lastStatus === "STOPPED");
        const processes = await processesOf(name);
        seen = `${tasks.map(({ taskArn, lastStatus }) => `${taskArn?.slice(-8)} ${lastStatus}`).join(", ")}; processes in ${processes.map(({ cgroup }) => cgroup).join(", ")}`;
        return stopped !== undefined || (tasks.every(({ lastStatus }) => lastStatus === "RUNNING") && processes.length === tasks.length);
      };
      await until(`each task of ${name} runs once`, eachOnce).catch((cause: unknown) => {
        throw new Error(`${messageOf(cause)}: ${seen}`, { cause });
      });
      if (stopped !== undefined) throw new Error(`${stopped.taskArn} stopped: ${stopped.stoppedReason} ${stopped.containers?.[0]?.reason ?? ""}`);
    },
    async stop(name) {
      await Promise.all(
        (await tasksOf(name)).map(({ taskArn = "" }) =>
          ledger.acknowledged(
            `StopTask of ${taskArn}`,
            () => ecs.send(new StopTaskCommand({ task: taskArn, reason: "enough" })),
            async () => (await describeTasks([taskArn]))[0]?.desiredStatus === "STOPPED",
          ),
        ),
      );
    },
    async end(name) {
      await until(`each task of ${name} has ended`, async () => {
        const left = (await tasksOf(name)).filter(({ lastStatus }) => lastStatus !== "STOPPED");
        for (const { taskArn, desiredStatus } of left) {
          if (desiredStatus === "RUNNING") await ecs.send(new StopTaskCommand({ task: taskArn, reason: "enough" }));
        }
        return left.length === 0 && (await processesOf(name)).length === 0;
      });
    },
  };
}
