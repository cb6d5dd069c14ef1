import type { Container, Task } from "@aws-sdk/client-ecs";
import type { Session } from "../session.ts";
import { stoppedTasks } from "./watch-roll-out.ts";

interface FailureQuery {
  readonly cluster: string;
  readonly service: string;
  readonly taskDefinition: string;
  readonly logGroup: string;
}

const LAST_LINES = 15;

/** Which task of the revision stopped, why, each container's exit code, and the last lines it wrote. */
export async function explainFailure(session: Session, query: FailureQuery): Promise<string> {
  const task = mostTelling(await stoppedTasks(await session.ecs(), query));
  if (task === undefined) return "No task of the new revision has stopped: it did not become healthy. `tidegate ps` and `tidegate logs` show more.";
  const lines = [`Task ${taskId(task)} stopped (${task.stopCode}): ${task.stoppedReason}`];
  for (const container of task.containers ?? []) lines.push(...(await explainContainer(session, { query, task, container })));
  return lines.join("\n");
}

/**
 * Of tasks, the newest first: one that ended by itself or was found unhealthy says more than one that the roll-back stopped, and one that has
 * stopped wholly has all its lines in the log. Pure.
 */
export function mostTelling(tasks: readonly Task[]): Task | undefined {
  const own = tasks.filter((task) => !/deployment|scaling/i.test(task.stoppedReason ?? ""));
  const candidates = own.length > 0 ? own : tasks;
  return candidates.find((task) => task.lastStatus === "STOPPED") ?? candidates[0];
}

async function explainContainer(
  session: Session,
  failed: { readonly query: FailureQuery; readonly task: Task; readonly container: Container },
): Promise<readonly string[]> {
  const { container } = failed;
  const exit = container.exitCode === undefined ? "no exit code" : `exit code ${container.exitCode}`;
  const lines = [`  ${container.name} (${container.image}): ${exit}${container.reason === undefined ? "" : `, ${container.reason}`}`];
  const written = await lastLines(session, { group: failed.query.logGroup, stream: `ecs/${container.name}/${taskId(failed.task)}` });
  if (written.length === 0) return [...lines, "  It wrote nothing."];
  return [...lines, `  Its last lines:`, ...written.map((line) => `    ${line}`)];
}

async function lastLines(session: Session, from: { readonly group: string; readonly stream: string }): Promise<readonly string[]> {
  const { GetLogEventsCommand } = await import("@aws-sdk/client-cloudwatch-logs");
  const logs = await session.logs();
  const answer = await logs
    .send(new GetLogEventsCommand({ logGroupName: from.group, logStreamName: from.stream, limit: LAST_LINES }))
    .catch(() => undefined);
  return (answer?.events ?? []).map((event) => event.message ?? "");
}

function taskId(task: Task): string {
  return task.taskArn?.split("/").at(-1) ?? "";
}
