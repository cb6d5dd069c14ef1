import type { StopReason } from "../contracts/engine.ts";
import type { DiskUsage } from "../contracts/container-runtime.ts";
import type { StorageUse } from "./plan-storage.ts";

/** The words that AWS uses for the ends of tasks and containers, in one place. */

export const ESSENTIAL_EXITED: StopReason = { code: "EssentialContainerExited", reason: "Essential container in task exited" };
export const ALL_CONTAINERS_EXITED: StopReason = { code: "EssentialContainerExited", reason: "All containers have exited" };
export const DEADLINE_EXCEEDED: StopReason = {
  code: "DeadlineExceeded",
  reason: "Pod was active on the node longer than the specified deadline",
};
export const TAKEN_DOWN: StopReason = { code: "TerminationNotice", reason: "Tidegate was taken down together with everything it ran." };

export const OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage";

/** ECS's word for what goes wrong between its agent and containerd. */
export const WATCHER_LOST =
  "ContainerRuntimeError: the process that watches over the container on its host (containerd-shim) was ended from outside Tidegate, and the container with it; its exit code is not known";

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

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** The task has more on disk than it asked for. */
export function storageExceeded({ layers, volumes, logs, limitGiB }: StorageUse, total: DiskUsage): StopReason {
  const parts = [
    ...layers.map(({ container, usage }) => `container ${container}'s own layer ${gib(usage.bytes)}`),
    `volumes ${gib(volumes.bytes)}`,
    `logs ${gib(logs.bytes)}`,
  ];
  const had = `the task has ${gib(total.bytes)} in ${total.inodes} files, more than its ephemeral storage of ${limitGiB} GiB holds`;
  const advice = "Write less, or ask for more in ephemeralStorage.sizeInGiB (21 to 200).";
  return { code: "TerminationNotice", reason: `EphemeralStorageExceededError: ${had} (${parts.join(", ")}). ${advice}` };
}

/** The host's disk is nearly full, and this task is the one that fills it. */
export function hostDiskFull(sizes: Readonly<Record<"freeBytes" | "grownBytes" | "bytes" | "limitGiB", number>>): StopReason {
  const grew = `of all tasks this one grew most within the last minute, by ${gib(sizes.grownBytes)} to ${gib(sizes.bytes)}`;
  const what = `the host's disk has ${gib(sizes.freeBytes)} left, and ${grew} (its ephemeral storage is ${sizes.limitGiB} GiB)`;
  return { code: "TerminationNotice", reason: `HostDiskFullError: ${what}. Write less, or give the host more disk.` };
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
