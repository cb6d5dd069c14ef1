import type { ECSClient, Task } from "@aws-sdk/client-ecs";
import { systemClock } from "../../core/clock.ts";
import { type Command, CommandError } from "../command.ts";
import { ago } from "../output.ts";
import { findTask } from "../find-task.ts";
import type { TaskTimeline } from "../../core/status-report.ts";
import type { Session } from "../session.ts";

/** Phases of the API that the timeline has under the name of a state (`RUNNING`) or a step (`attached`). */
const SAID_BY_TIMELINE = new Set(["network ready", "running", "stopped"]);

/** Tasks, or one task's phases with their times. */
export const ps: Command<{ readonly all?: boolean; readonly cluster?: string; readonly json?: boolean }> = {
  usage: "ps [task]",
  summary: "tasks; with a task's id (or its beginning): its phases",
  options: [
    ["--all", "stopped ones too"],
    ["--cluster <name>", "default: all clusters"],
    ["--json", "as JSON"],
  ],
  async run({ arguments: [id], options, session }) {
    const ecs = await session.ecs();
    if (id !== undefined) return showTask(session, await findTask(ecs, { id, cluster: options.cluster }));
    const tasks = await allTasks(ecs, options);
    if (session.json) return session.output.json(tasks);
    if (tasks.length > 0) showTasks(session, tasks);
    else session.output.line(options.all === true ? "No tasks." : "No task runs. (--all shows stopped ones)");
    // Pods are kubectl's to show.
    const { ListClustersCommand } = await import("@aws-sdk/client-eks");
    const { clusters = [] } = await (await session.eks()).send(new ListClustersCommand());
    for (const name of clusters)
      session.output.line(`Pods of the EKS cluster ${name}: aws eks update-kubeconfig --name ${name} && kubectl get pods -A`);
  },
};

function showTasks(session: Session, tasks: readonly Task[]): void {
  const nowMs = systemClock.nowMs();
  session.output.table(
    ["TASK", "GROUP", "STATUS", "HEALTH", "ADDRESS", "STARTED", "DEFINITION"],
    tasks.map((task) => [
      shortId(task),
      (task.group ?? "").replace(/^(service|family):/, ""),
      task.lastStatus === task.desiredStatus ? (task.lastStatus ?? "") : `${task.lastStatus} -> ${task.desiredStatus}`,
      task.healthStatus ?? "",
      addressOf(task),
      task.startedAt === undefined ? "-" : ago(task.startedAt.getTime(), nowMs),
      (task.taskDefinitionArn ?? "").split("/").at(-1) ?? "",
    ]),
  );
}

async function allTasks(ecs: ECSClient, options: { readonly all?: boolean; readonly cluster?: string }): Promise<readonly Task[]> {
  const { DescribeTasksCommand, paginateListClusters, paginateListTasks } = await import("@aws-sdk/client-ecs");
  const clusters: string[] = options.cluster === undefined ? [] : [options.cluster];
  if (options.cluster === undefined) for await (const page of paginateListClusters({ client: ecs }, {})) clusters.push(...(page.clusterArns ?? []));
  const tasks: Task[] = [];
  for (const cluster of clusters) {
    for (const desiredStatus of options.all === true ? (["RUNNING", "STOPPED"] as const) : (["RUNNING"] as const)) {
      for await (const page of paginateListTasks({ client: ecs }, { cluster, desiredStatus })) {
        if (page.taskArns === undefined || page.taskArns.length === 0) continue;
        const answer = await ecs.send(new DescribeTasksCommand({ cluster, tasks: page.taskArns }));
        tasks.push(...(answer.tasks ?? []));
      }
    }
  }
  return tasks;
}

async function showTask(session: Session, task: Task | undefined): Promise<void> {
  if (task === undefined) throw new CommandError("There is no such task. Stopped tasks are kept for an hour.");
  const { timeline = [] } = (await session.own<TaskTimeline>(`tasks/${shortId(task)}`)) ?? {};
  if (session.json) return session.output.json({ ...task, timeline });
  const { output } = session;
  output.line(`${output.style("bold", shortId(task))}  ${task.lastStatus}  ${addressOf(task)}  ${(task.taskDefinitionArn ?? "").split("/").at(-1)}`);
  if (task.stoppedReason !== undefined) output.line(`${task.stopCode}: ${task.stoppedReason}`);
  output.table(["PHASE", "AT", "TOOK"], phaseRows(task, timeline));
  output.table(
    ["CONTAINER", "STATUS", "HEALTH", "EXIT", "REASON"],
    (task.containers ?? []).map((container) => [
      container.name ?? "",
      container.lastStatus ?? "",
      container.healthStatus ?? "",
      String(container.exitCode ?? "-"),
      container.reason ?? "",
    ]),
  );
}

/**
 * Each step that has begun, with the time until the next: the times of the ECS API, and the finer ones that Tidegate keeps beside them, which
 * say the same states by their own names. Pure.
 */
export function phaseRows(task: Task, timeline: TaskTimeline["timeline"] = []): readonly (readonly string[])[] {
  const detailed = timeline.map(({ phase, atMs }): readonly [string, Date] => [phase, new Date(atMs)]);
  const phases: readonly (readonly [string, Date | undefined])[] = [
    ["created", task.createdAt],
    ["network ready", task.connectivityAt],
    ["pull started", task.pullStartedAt],
    ["pull stopped", task.pullStoppedAt],
    ["running", task.startedAt],
    ["stopping", task.stoppingAt],
    ["containers ended", task.executionStoppedAt],
    ["stopped", task.stoppedAt],
  ];
  const shown = detailed.length === 0 ? phases : [...phases.filter(([name]) => !SAID_BY_TIMELINE.has(name)), ...detailed];
  const begun = shown.flatMap(([name, at]) => (at === undefined ? [] : [{ name, at }])).sort((a, b) => a.at.getTime() - b.at.getTime());
  return begun.map(({ name, at }, index) => {
    const next = begun[index + 1];
    return [name, at.toISOString(), next === undefined ? "" : `${next.at.getTime() - at.getTime()} ms`];
  });
}

function shortId(task: Task): string {
  return (task.taskArn ?? "").split("/").at(-1) ?? "";
}

function addressOf(task: Task): string {
  const details = task.attachments?.find((attachment) => attachment.type === "ElasticNetworkInterface")?.details;
  return details?.find((detail) => detail.name === "privateIPv4Address")?.value ?? "-";
}
