import type { StopReason, WorkloadStatus } from "../contracts/engine.ts";
import { collection } from "../contracts/store.ts";
import type { Ids } from "../core/ids.ts";
import type { Workload } from "../contracts/workload.ts";

/** What is wanted of a workload. Written by `start` and `requestStop` only; keyed by workload id. */
export interface WorkloadRecord {
  readonly workload: Workload;
  readonly acceptedAtMs: number;
  readonly desired: "RUNNING" | "STOPPED";
  /** The first reason that was given; it stays. */
  readonly stop?: StopReason & {
    readonly atMs: number;
    /** From then on what lives is killed, where that is before its own time is over. */ readonly endsAtMs?: number;
  };
}

/**
 * Where a workload lives, stored before anything there is made or used: a sandbox belongs to the workload whose placement names it.
 * Gone with STOPPED. Only the workload controller writes it after `start`.
 */
export interface PlacementRecord {
  readonly sandboxName: string;
  readonly cgroupParent: string;
  /** Of the credentials endpoint; only where the workload has a task role. */
  readonly credentialsId?: string;
  /** By container name: `<32 hex>-<10 digits>`. */
  readonly runtimeIds: Readonly<Record<string, string>>;
  /** By container name: restarts in a row, for the back-off. */
  readonly streaks: Readonly<Record<string, number>>;
  /** By `<container>/<attempt>`: when its stop signal was first sent, so that a restart of Tidegate does not lengthen the grace. */
  readonly stopSentAtMs: Readonly<Record<string, number>>;
}

/** What a workload is to be billed for: its size, from the start of its first pull to its stop. Keyed by workload id, written at STOPPED. */
export interface UsageRecord {
  readonly workloadId: string;
  readonly account: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpuUnits: number;
  readonly memoryMiB: number;
  readonly ephemeralStorageGiB: number;
  readonly spot: boolean;
  readonly fromMs: number;
  readonly toMs: number;
  /** Rounded up. */
  readonly seconds: number;
}

/** `<32 hex>-<10 digits>` for each, by name. */
export function runtimeIdsOf(workloadId: string, containers: readonly { readonly name: string }[], ids: Ids): PlacementRecord["runtimeIds"] {
  const prefix = workloadId.replaceAll("-", "");
  return Object.fromEntries(containers.map(({ name }) => [name, `${prefix}-${ids.digits(10)}`]));
}

export const WORKLOADS = collection<WorkloadRecord>("fargate.workload");
export const STATUSES = collection<WorkloadStatus>("fargate.status");
export const PLACEMENTS = collection<PlacementRecord>("fargate.placement");
export const USAGE = collection<UsageRecord>("fargate.usage");

/** Labels of what the compute layer makes in the runtime. */
export const LABELS = {
  instance: "tidegate.instance",
  role: "tidegate.role",
  workload: "tidegate.workload",
  container: "tidegate.container",
} as const;
