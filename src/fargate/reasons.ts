import type { StopReason } from "../contracts/engine.ts";

/** The words that AWS uses for the ends of tasks and containers, in one place. */

export const ESSENTIAL_EXITED: StopReason = { code: "EssentialContainerExited", reason: "Essential container in task exited" };
export const ALL_CONTAINERS_EXITED: StopReason = { code: "EssentialContainerExited", reason: "All containers have exited" };
export const DEADLINE_EXCEEDED: StopReason = {
  code: "TerminationNotice",
  reason: "Pod was active on the node longer than the specified deadline",
};
export const TAKEN_DOWN: StopReason = { code: "TerminationNotice", reason: "Tidegate was taken down together with everything it ran." };

export const OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage";

export function failedToStart(reason: string): StopReason {
  return { code: "TaskFailedToStart", reason };
}

/** The host was restarted, or the sandbox ended outside Tidegate. */
export function sandboxLost(everRan: boolean): StopReason {
  return {
    code: everRan ? "TerminationNotice" : "TaskFailedToStart",
    reason: "The host that ran the task was restarted, or the task's sandbox was ended from outside Tidegate.",
  };
}

interface Dependency {
  readonly dependency: string;
  readonly target: string;
}

export function dependencyTimedOut({ dependency, target }: Dependency): StopReason {
  return failedToStart(`TaskDependencyError: container ordering dependency [${dependency}] for target [${target}] has timed out.`);
}

export function dependencyFailed({ dependency, target }: Dependency): StopReason {
  return failedToStart(
    `TaskDependencyError: failed to resolve the container ordering dependency [${dependency}] for target [${target}] as dependency did not exit successfully.`,
  );
}

export function vanished(name: string): string {
  return `ContainerVanishedError: container ${name} is gone from the runtime; it was removed from outside Tidegate.`;
}

/** Reasons are at most this long in the ECS API. */
const REASON_LENGTH = 1024;

export function clipReason(text: string): string {
  return text.length <= REASON_LENGTH ? text : `${text.slice(0, REASON_LENGTH - 1)}…`;
}
