import type { ECSClient, Service, Task } from "@aws-sdk/client-ecs";
import { systemClock } from "../../core/clock.ts";

export interface WatchedRollOut {
  readonly cluster: string;
  readonly service: string;
  /** ARN of the new revision. */
  readonly taskDefinition: string;
  /** Without one, tasks count as well only when they have run for a while. */
  readonly hasHealthCheck: boolean;
  readonly onProgress: (text: string) => void;
  readonly signal: AbortSignal;
}

export type RollOutEnd = { readonly kind: "steady" } | { readonly kind: "interrupted" } | { readonly kind: "failed"; readonly reason: string };

/** What is seen of a service at one moment. */
export interface RollOutView {
  /** `undefined` when it is gone. */
  readonly service: Service | undefined;
  /** How many tasks of the new revision have ended by themselves. */
  readonly ended: number;
}

const POLL_MS = 500;

/** So many tasks that end by themselves are no accident; ECS's circuit breaker takes as many at least. */
const ENDED_TOO_OFTEN = 3;

/** How long tasks without a health check must run before they count as well. */
const SETTLE_MS = 5000;

/** Waits until all tasks of the new revision are up and no other is left, or it has failed. */
export async function watchRollOut(ecs: ECSClient, watched: WatchedRollOut): Promise<RollOutEnd> {
  let shown = "";
  let steadySinceMs: number | undefined;
  let endedBefore = 0;
  for (;;) {
    if (watched.signal.aborted) return { kind: "interrupted" };
    const view = { service: await activeService(ecs, watched), ended: await countEnded(ecs, watched) };
    const verdict = judgeRollOut(view, watched.taskDefinition);
    if (verdict.kind === "failed") return verdict;
    const text = describeRollOut(view, watched.taskDefinition);
    if (text !== shown) watched.onProgress((shown = text));
    const nowMs = systemClock.nowMs();
    if (verdict.kind !== "steady" || view.ended !== endedBefore) steadySinceMs = undefined;
    else steadySinceMs ??= nowMs;
    endedBefore = view.ended;
    if (steadySinceMs !== undefined && nowMs - steadySinceMs >= (watched.hasHealthCheck ? 0 : SETTLE_MS)) return { kind: "steady" };
    await systemClock.sleep(POLL_MS);
  }
}

/** Pure. */
export function judgeRollOut({ service, ended }: RollOutView, taskDefinition: string): RollOutEnd | { readonly kind: "rolling" } {
  if (service === undefined) return { kind: "failed", reason: "The service was deleted meanwhile." };
  const ours = service.deployments?.find((deployment) => deployment.taskDefinition === taskDefinition);
  if (ours === undefined) return { kind: "failed", reason: `The deployment of ${revisionOf(taskDefinition)} has ended: another took its place.` };
  if (ours.rolloutState === "FAILED") return { kind: "failed", reason: ours.rolloutStateReason ?? "The deployment failed." };
  if (ended >= ENDED_TOO_OFTEN)
    return { kind: "failed", reason: `The tasks of ${revisionOf(taskDefinition)} start, but end again: ${ended} so far.` };
  const alone = service.deployments?.length === 1 && service.runningCount === service.desiredCount;
  return { kind: ours.rolloutState === "COMPLETED" && alone ? "steady" : "rolling" };
}

/** One line on how far it is. Pure. */
export function describeRollOut({ service, ended }: RollOutView, taskDefinition: string): string {
  const ours = service?.deployments?.find((deployment) => deployment.taskDefinition === taskDefinition);
  if (service === undefined || ours === undefined) return "";
  const old = Math.max(0, (service.runningCount ?? 0) - (ours.runningCount ?? 0));
  const failed = Math.max(ours.failedTasks ?? 0, ended);
  const parts = [`${ours.runningCount ?? 0} of ${ours.desiredCount ?? 0} running`];
  if (ours.pendingCount) parts.push(`${ours.pendingCount} starting`);
  if (failed > 0) parts.push(`${failed} failed`);
  if (old > 0) parts.push(`${old} of the revision before`);
  return parts.join(", ");
}

async function activeService(ecs: ECSClient, { cluster, service }: WatchedRollOut): Promise<Service | undefined> {
  const { DescribeServicesCommand } = await import("@aws-sdk/client-ecs");
  const answer = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
  return answer.services?.find((candidate) => candidate.status === "ACTIVE");
}

async function countEnded(ecs: ECSClient, { cluster, service, taskDefinition }: WatchedRollOut): Promise<number> {
  return (await stoppedTasks(ecs, { cluster, service, taskDefinition })).filter((task) => task.stopCode === "EssentialContainerExited").length;
}

/** The revision's stopped tasks, the newest first. */
export async function stoppedTasks(
  ecs: ECSClient,
  query: { readonly cluster: string; readonly service: string; readonly taskDefinition: string },
): Promise<readonly Task[]> {
  const { DescribeTasksCommand, ListTasksCommand } = await import("@aws-sdk/client-ecs");
  const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster: query.cluster, serviceName: query.service, desiredStatus: "STOPPED" }));
  if (taskArns.length === 0) return [];
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster: query.cluster, tasks: taskArns.slice(0, 100) }));
  return tasks
    .filter((task) => task.taskDefinitionArn === query.taskDefinition)
    .sort((a, b) => (b.createdAt?.getTime() ?? 0) - (a.createdAt?.getTime() ?? 0));
}

function revisionOf(taskDefinitionArn: string): string {
  return taskDefinitionArn.split("/").at(-1) ?? "";
}
