import type { TargetHealth } from "../../contracts/load-balancer.ts";
import type { LogCollectorHealth } from "../../contracts/log-store.ts";
import type { WorkloadStatus } from "../../contracts/engine.ts";
import { STATUSES } from "../../fargate/records.ts";
import { loadBalancerRecords, loadBalancerStatuses, targetGroupRecords, targetHealths } from "../../loadbalancer/records.ts";
import { services, tasks, type ServiceRecord, type TaskRecord } from "../../services/ecs/records.ts";
import { CLUSTERS, CONTROL_PLANES, type ControlPlaneRecord } from "../../services/eks/records.ts";
import type { Rooms } from "../rooms.ts";

/** A task and what became of it; without a status when the compute layer never had it. */
export interface TaskFacts {
  readonly record: TaskRecord;
  readonly status: WorkloadStatus | undefined;
}

/** All that the judgement of what users run goes by. */
export interface StatusFacts {
  readonly nowMs: number;
  readonly services: readonly ServiceRecord[];
  readonly tasks: readonly TaskFacts[];
  readonly targetGroups: readonly {
    readonly name: string;
    /** What the health check asks for; absent where it only connects. */
    readonly healthPath?: string;
    readonly targets: readonly TargetHealth[];
  }[];
  /** Those that the data plane could not make. */
  readonly failedLoadBalancers: readonly { readonly name: string; readonly reason: string | undefined }[];
  /** EKS's, without those that are being deleted; `status`: of the workload that is the control plane. */
  readonly clusters: readonly { readonly name: string; readonly plane: ControlPlaneRecord; readonly status: WorkloadStatus | undefined }[];
  readonly logs: LogCollectorHealth;
}

/** Reads the records once. For people and their scripts, not for polling by the second: it lists what there is. */
export async function statusFacts({ store, collector }: Pick<Rooms, "store" | "collector">, nowMs: number): Promise<StatusFacts> {
  const [serviceRows, taskRows, statusRows, groups, healths, balancers, balancerStatuses, clusters, planes] = await Promise.all([
    store.list(services),
    store.list(tasks),
    store.list(STATUSES),
    store.list(targetGroupRecords),
    store.list(targetHealths),
    store.list(loadBalancerRecords),
    store.list(loadBalancerStatuses),
    store.list(CLUSTERS),
    store.list(CONTROL_PLANES),
  ]);
  const statusOf = new Map(statusRows.map(({ key, value }) => [key, value]));
  const nameOf = new Map(balancers.map(({ key, value }) => [key, value.name]));
  return {
    nowMs,
    services: serviceRows.map(({ value }) => value),
    tasks: taskRows.map(({ value }) => ({ record: value, status: statusOf.get(value.taskId) })),
    targetGroups: groups.map(({ value: { arn, name, healthCheck } }) => ({
      name,
      ...(healthCheck.protocol !== "TCP" && { healthPath: healthCheck.path }),
      targets: healths.flatMap(({ value }) => (value.targetGroupArn === arn ? [value] : [])),
    })),
    failedLoadBalancers: balancerStatuses.flatMap(({ key, value }) =>
      value.state === "failed" ? [{ name: nameOf.get(key) ?? key, reason: value.reason }] : [],
    ),
    clusters: clusters.flatMap(({ key, value: { name, deletingSinceMs } }) => {
      const plane = planes.find((each) => each.key === key)?.value;
      return plane === undefined || deletingSinceMs !== undefined ? [] : [{ name, plane, status: statusOf.get(plane.workloadId ?? "") }];
    }),
    logs: collector.health(),
  };
}
