import type { Cluster } from "@aws-sdk/client-ecs";
import { clusterArn } from "./names.ts";
import { lastStatusOf } from "./observed-task.ts";
import { type ClusterRecord, clusterKey, services } from "./records.ts";
import type { Room } from "./room.ts";

const PENDING: ReadonlySet<string> = new Set(["PROVISIONING", "PENDING", "ACTIVATING"]);
const RUNNING: ReadonlySet<string> = new Set(["RUNNING", "DEACTIVATING"]);

/** The API's shape of a cluster with its counts; `include` as in DescribeClusters. */
export async function clusterView(room: Room, record: ClusterRecord, include: readonly string[]): Promise<Cluster> {
  await room.tasks.ready();
  const statuses = room.tasks.inCluster(clusterKey(record, record.name)).map(lastStatusOf);
  const running = statuses.filter((status) => RUNNING.has(status)).length;
  const pending = statuses.filter((status) => PENDING.has(status)).length;
  const own = (await room.store.list(services, { prefix: `${clusterKey(record, record.name)}/` })).map((stored) => stored.value.status);
  const active = own.filter((status) => status === "ACTIVE").length;
  const draining = own.filter((status) => status === "DRAINING").length;
  return {
    clusterArn: clusterArn(record, record.name),
    clusterName: record.name,
    status: record.status,
    registeredContainerInstancesCount: 0,
    runningTasksCount: running,
    pendingTasksCount: pending,
    activeServicesCount: active,
    statistics: include.includes("STATISTICS") ? statisticsOf({ running, pending, active, draining }) : [],
    tags: include.includes("TAGS") ? [...record.tags] : [],
    settings: include.includes("SETTINGS") ? [{ name: "containerInsights", value: record.containerInsights }] : [],
    capacityProviders: [...record.capacityProviders],
    defaultCapacityProviderStrategy: [...record.defaultCapacityProviderStrategy],
  };
}

interface Counts {
  readonly running: number;
  readonly pending: number;
  readonly active: number;
  readonly draining: number;
}

function statisticsOf({ running, pending, active, draining }: Counts): NonNullable<Cluster["statistics"]> {
  const values: [string, number][] = [
    ["runningEC2TasksCount", 0],
    ["runningFargateTasksCount", running],
    ["pendingEC2TasksCount", 0],
    ["pendingFargateTasksCount", pending],
    ["runningExternalTasksCount", 0],
    ["pendingExternalTasksCount", 0],
    ["activeEC2ServiceCount", 0],
    ["activeFargateServiceCount", active],
    ["activeExternalServiceCount", 0],
    ["drainingEC2ServiceCount", 0],
    ["drainingFargateServiceCount", draining],
    ["drainingExternalServiceCount", 0],
  ];
  return values.map(([name, value]) => ({ name, value: String(value) }));
}
