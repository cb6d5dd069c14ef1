import type { CloudWatchLogsClient, FilteredLogEvent } from "@aws-sdk/client-cloudwatch-logs";
import type { ContainerDefinition, ECSClient } from "@aws-sdk/client-ecs";
import { systemClock } from "../../core/clock.ts";
import { type Command, CommandError } from "../command.ts";
import { findTask } from "../find-task.ts";
import type { Session } from "../session.ts";

interface LogsOptions {
  readonly follow?: boolean;
  readonly cluster?: string;
  readonly since?: string;
  readonly lines?: string;
  readonly json?: boolean;
}

/** Where one container's lines go. */
interface LogTarget {
  readonly group: string;
  /** `<prefix>/<container>/`, and the task id when one task is meant. */
  readonly streamPrefix: string;
}

const FOLLOW_EVERY_MS = 1000;

/** What a service's, or one task's, containers have written. */
export const logs: Command<LogsOptions> = {
  usage: "logs <service-or-task>",
  summary: "what a service or a task has written",
  options: [
    ["-f, --follow", "go on until interrupted"],
    ["--cluster <name>", "default: `default` for a service, any for a task"],
    ["--since <minutes>", "only the last minutes (default 60)"],
    ["--lines <n>", "only the last n lines (default 1000)"],
    ["--json", "one JSON object a line"],
  ],
  async run({ arguments: [name = ""], options, session }) {
    const targets = await findTargets(await session.ecs(), { name, cluster: options.cluster });
    if (targets.length === 0) throw new CommandError(`No container of ${name} logs with awslogs: there is nothing to show.`);
    const sinceMs = systemClock.nowMs() - positive(options.since, 60) * 60_000;
    const client = await session.logs();
    let printed = await show(session, { client, targets, sinceMs, limit: positive(options.lines, 1000) });
    while (options.follow === true) {
      await systemClock.sleep(FOLLOW_EVERY_MS);
      printed = await show(session, { client, targets, sinceMs: printed.fromMs, limit: Number.POSITIVE_INFINITY, seen: printed.seen });
    }
  },
};

function positive(text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0)) throw new CommandError(`${text} is no positive number`, 2);
  return value;
}

async function findTargets(ecs: ECSClient, query: { readonly name: string; readonly cluster?: string }): Promise<readonly LogTarget[]> {
  const { DescribeServicesCommand, DescribeTaskDefinitionCommand } = await import("@aws-sdk/client-ecs");
  const services = await ecs.send(new DescribeServicesCommand({ cluster: query.cluster, services: [query.name] })).catch(() => undefined);
  const service = services?.services?.[0];
  const task = service === undefined ? await findTask(ecs, { id: query.name, cluster: query.cluster }) : undefined;
  const taskDefinition = service?.taskDefinition ?? task?.taskDefinitionArn;
  if (taskDefinition === undefined)
    throw new CommandError(
      `There is no service and no task ${query.name}. \`tidegate ps --all\` lists the tasks; \`kubectl logs\` shows what pods write.`,
    );
  const described = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition }));
  const taskId = task?.taskArn?.split("/").at(-1) ?? "";
  return (described.taskDefinition?.containerDefinitions ?? []).flatMap((container) => targetOf(container, taskId));
}

function targetOf(container: ContainerDefinition, taskId: string): readonly LogTarget[] {
  const options = container.logConfiguration?.options;
  const group = options?.["awslogs-group"];
  if (container.logConfiguration?.logDriver !== "awslogs" || group === undefined) return [];
  return [{ group, streamPrefix: `${options?.["awslogs-stream-prefix"]}/${container.name}/${taskId}` }];
}

interface ShowRequest {
  readonly client: CloudWatchLogsClient;
  readonly targets: readonly LogTarget[];
  readonly sinceMs: number;
  readonly limit: number;
  readonly seen?: ReadonlySet<string>;
}

/** Prints what is new. Answers from when to ask next, and the ids already printed from then on: late events of the same moment still come. */
async function show(session: Session, request: ShowRequest): Promise<{ readonly fromMs: number; readonly seen: ReadonlySet<string> }> {
  const found: (FilteredLogEvent & { readonly target: LogTarget })[] = [];
  for (const target of request.targets) for (const event of await fetchEvents(request, target)) found.push({ ...event, target });
  found.sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0));
  const fresh = found.filter((event) => request.seen?.has(event.eventId ?? "") !== true);
  for (const event of fresh.slice(-Math.min(request.limit, fresh.length))) print(session, event);
  const OVERLAP_MS = 5000;
  const lastMs = found.at(-1)?.timestamp ?? request.sinceMs;
  const fromMs = Math.max(request.sinceMs, lastMs - OVERLAP_MS);
  return { fromMs, seen: new Set(found.filter((event) => (event.timestamp ?? 0) >= fromMs).map((event) => event.eventId ?? "")) };
}

async function fetchEvents(request: ShowRequest, target: LogTarget): Promise<readonly FilteredLogEvent[]> {
  const { paginateFilterLogEvents, ResourceNotFoundException } = await import("@aws-sdk/client-cloudwatch-logs");
  const events: FilteredLogEvent[] = [];
  const input = { logGroupName: target.group, logStreamNamePrefix: target.streamPrefix, startTime: request.sinceMs };
  try {
    for await (const page of paginateFilterLogEvents({ client: request.client }, input)) events.push(...(page.events ?? []));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
  return events;
}

function print(session: Session, event: FilteredLogEvent): void {
  const at = new Date(event.timestamp ?? 0).toISOString();
  if (session.json) return session.output.line(JSON.stringify({ timestamp: at, stream: event.logStreamName, message: event.message }));
  const [, container = "", task = ""] = (event.logStreamName ?? "").split("/");
  session.output.line(`${session.output.style("dim", at)} ${session.output.style("cyan", `${container}/${task.slice(0, 8)}`)} ${event.message}`);
}
