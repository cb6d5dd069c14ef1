/** Texts of a service's events, as AWS writes them. Each is the message after `(service <name>) `. */

const tasksText = (taskIds: readonly string[]): string => taskIds.map((id) => `(task ${id})`).join(" ");

export const serviceEvent = {
  started: (taskIds: readonly string[], replacing: number): string =>
    `has started ${taskIds.length} tasks: ${tasksText(taskIds)}.${replacing > 0 ? ` Amazon ECS replaced ${replacing} tasks due to an unhealthy status.` : ""}`,
  stoppedRunning: (taskIds: readonly string[]): string => `has stopped ${taskIds.length} running tasks: ${tasksText(taskIds)}.`,
  stoppedPending: (count: number): string => `stopped ${count} pending tasks.`,
  draining: (count: number): string => `has begun draining connections on ${count} tasks.`,
  registered: (count: number, targetGroupArn: string): string => `registered ${count} targets in (target-group ${targetGroupArn})`,
  deregistered: (count: number, targetGroupArn: string): string => `deregistered ${count} targets in (target-group ${targetGroupArn})`,
  steady: (): string => "has reached a steady state.",
  deploymentCompleted: (id: string): string => `(deployment ${id}) deployment completed.`,
  deploymentFailed: (id: string): string => `(deployment ${id}) deployment failed: tasks failed to start.`,
  rollingBack: (id: string): string => `rolling back to deployment ${id}.`,
  unhealthyTarget: (task: { readonly taskId: string; readonly port: number; readonly targetGroupArn: string; readonly reason: string }): string =>
    `(task ${task.taskId}) (port ${task.port}) is unhealthy in (target-group ${task.targetGroupArn}) due to (reason ${task.reason})`,
  unhealthyContainer: (taskId: string): string => `(task ${taskId}) failed container health checks.`,
  protectedTasks: (deploymentId: string, count: number): string =>
    `was unable to reach steady state because (taskSet ${deploymentId}) was unable to scale in due to (reason ${count} tasks under protection)`,
  stuck: (): string =>
    "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.",
  inconsistentStarts: (): string => "is unable to consistently start tasks successfully.",
  noCapacity: (): string =>
    "was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.",
} as const;

/** A whole message: all start with the service. */
export function eventMessage(service: string, text: string): string {
  return `(service ${service}) ${text}`;
}

/** Causes that are told once until they pass, or again after six hours. */
export type StandingCause = "steady" | "stuck" | "inconsistent-starts" | "no-capacity" | "protected";
export const STANDING_REPEAT_MS = 6 * 60 * 60 * 1000;
export const MAXIMUM_EVENTS = 100;

/** Reasons in `stoppedReason` of tasks that the scheduler ends. */
export const stopReason = {
  scaling: (deploymentId: string): string => `Scaling activity initiated by (deployment ${deploymentId})`,
  targetUnhealthy: (targetGroupArn: string): string => `Task failed ELB health checks in (target-group ${targetGroupArn})`,
  containerUnhealthy: (): string => "Task failed container health checks",
} as const;

/** Whether a task was ended because a health check failed. */
export function isHealthStop(reason: string): boolean {
  return reason.startsWith("Task failed ");
}
