import type { Controller } from "../../contracts/controller.ts";
import type { Engine, WorkloadView } from "../../contracts/engine.ts";
import type { Operation, Service, Toolbox } from "../../contracts/service.ts";
import type { Store } from "../../contracts/store.ts";
import type { TaskHook } from "../../contracts/task-hook.ts";
import { PresentTimes } from "../../core/present-times.ts";
import { createRunTaskTokenController } from "./controllers/run-task-token-controller.ts";
import { createServiceController } from "./controllers/service-controller.ts";
import { createTaskController } from "./controllers/task-controller.ts";
import { createTaskDefinitionController } from "./controllers/task-definition-controller.ts";
import { createLoadBalancerHook } from "./load-balancer-hook.ts";
import { createLogGroupHook } from "./log-group-hook.ts";
import { containerMetadata, type MetadataJson, taskMetadata } from "./metadata.ts";
import { taskKeyOfWorkload } from "./observed-task.ts";
import { listAccountSettings, putAccountSetting } from "./operations/account-settings.ts";
import { describeCapacityProviders, putClusterCapacityProviders } from "./operations/capacity-providers.ts";
import { updateCluster, updateClusterSettings } from "./operations/cluster-settings.ts";
import { createCluster } from "./operations/create-cluster.ts";
import { createService } from "./operations/create-service.ts";
import { deleteCluster } from "./operations/delete-cluster.ts";
import { deleteService } from "./operations/delete-service.ts";
import { deleteTaskDefinitions, deregisterTaskDefinition } from "./operations/deregister-task-definition.ts";
import { describeClusters, listClusters } from "./operations/describe-clusters.ts";
import { describeServices, listServices } from "./operations/describe-services.ts";
import { describeTaskDefinition, listTaskDefinitionFamilies, listTaskDefinitions } from "./operations/describe-task-definition.ts";
import { describeTasks, listTasks } from "./operations/describe-tasks.ts";
import { registerTaskDefinition } from "./operations/register-task-definition.ts";
import { runTask } from "./operations/run-task.ts";
import { describeServiceDeployments, listServiceDeployments } from "./operations/service-deployments.ts";
import { describeServiceRevisions } from "./operations/service-revisions.ts";
import { stopTask } from "./operations/stop-task.ts";
import { listTagsForResource, tagResource, untagResource } from "./operations/tag-resource.ts";
import { getTaskProtection, updateTaskProtection } from "./operations/task-protection.ts";
import { updateService } from "./operations/update-service.ts";
import type { EcsPorts } from "./ports.ts";
import { services } from "./records.ts";
import type { EcsConfig, Room } from "./room.ts";
import { TaskIndex } from "./task-index.ts";
import { TaskLauncher } from "./task-launcher.ts";

const HOUR_MS = 60 * 60 * 1000;

export interface EcsServiceOptions {
  readonly store: Store;
  readonly engine: Engine;
  readonly ports: EcsPorts;
  readonly toolbox: Toolbox;
  readonly config?: EcsConfig;
}

export interface EcsService extends Service {
  readonly controllers: readonly Controller[];
  /** To be handed to the compute layer: they take part in the life of ECS's workloads. */
  readonly taskHooks: readonly TaskHook[];
  /** What the compute layer's metadata endpoint answers for ECS's workloads; `undefined` for those of others. */
  readonly metadata: TaskMetadataSource;
  /** Digests of the images that services' deployments run, or will run once they are scaled up again. */
  deployedDigests(): Promise<ReadonlySet<string>>;
  /** Loads tasks into memory, so that the first request does not wait for it. Optional: readers do it too. */
  start(): Promise<void>;
  /** Stops listening to store and engine. */
  close(): void;
}

export interface TaskMetadataSource {
  /** `/task`, or `/taskWithTags` under `withTags`. */
  task(view: WorkloadView, options?: { readonly withTags?: boolean; readonly storageUsedBytes?: number }): MetadataJson | undefined;
  container(view: WorkloadView, name: string): MetadataJson | undefined;
}

/** Amazon ECS over one engine. Nothing happens before a request, `start`, or a controller's first reconcile. */
export function createEcsService({ store, engine, ports, toolbox, config = {} }: EcsServiceOptions): EcsService {
  const runtimeHandler = config.runtimeHandler ?? "runc";
  const tasks = new TaskIndex(store, engine);
  const room: Room = {
    ...toolbox,
    logger: toolbox.logger.child({ room: "services/ecs" }),
    store,
    times: new PresentTimes(toolbox.clock),
    engine,
    ports,
    tasks,
    launcher: new TaskLauncher({ store, engine, clock: toolbox.clock, runtimeHandler }),
    runtimeHandler,
    keepStoppedMs: config.keepStoppedMs ?? HOUR_MS,
  };
  return {
    name: "ecs",
    signingName: "ecs",
    targetPrefix: "AmazonEC2ContainerServiceV20141113",
    apiVersion: "2014-11-13",
    protocol: "awsJson1_1",
    loadSchemas: async () => ({ ...(await import("@aws-sdk/client-ecs")) }),
    operations: operationsOf(room),
    errorCodes: { invalid: "InvalidParameterException", unsupported: "ClientException" },
    controllers: [
      createTaskController(room),
      createServiceController(room),
      createTaskDefinitionController(room),
      createRunTaskTokenController(room),
    ],
    taskHooks: [createLogGroupHook(ports.logGroups), createLoadBalancerHook(ports.targets)],
    metadata: metadataSource(room),
    deployedDigests: () => deployedDigests(store),
    start: () => tasks.ready(),
    close: () => tasks.close(),
  };
}

async function deployedDigests(store: Store): Promise<ReadonlySet<string>> {
  const revisions = (await store.list(services)).flatMap(({ value }) => [
    ...value.deployments.map((deployment) => deployment.revision),
    ...(value.status === "ACTIVE" && value.lastCompleted !== undefined ? [value.lastCompleted.revision] : []),
  ]);
  return new Set(revisions.flatMap(({ imageDigests = {} }) => Object.values(imageDigests)));
}

function metadataSource(room: Room): TaskMetadataSource {
  return {
    task(view, options = {}) {
      const key = taskKeyOfWorkload(view);
      if (key === undefined) return undefined;
      const tags = options.withTags === true ? (room.tasks.find(key)?.record.tags ?? []) : undefined;
      return taskMetadata(view, {
        nowMs: room.clock.nowMs(),
        storageUsedBytes: options.storageUsedBytes ?? 0,
        ...(tags === undefined ? {} : { tags }),
      });
    },
    container: (view, name) => (taskKeyOfWorkload(view) === undefined ? undefined : containerMetadata(view, name)),
  };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- variance: each operation has its own input
function operationsOf(room: Room): readonly Operation<any, any>[] {
  return [
    createCluster(room),
    createService(room),
    deleteCluster(room),
    deleteService(room),
    deleteTaskDefinitions(room),
    deregisterTaskDefinition(room),
    describeCapacityProviders(room),
    describeClusters(room),
    describeServiceDeployments(room),
    describeServiceRevisions(room),
    describeServices(room),
    describeTaskDefinition(room),
    describeTasks(room),
    getTaskProtection(room),
    listAccountSettings(),
    listClusters(room),
    listServiceDeployments(room),
    listServices(room),
    listTagsForResource(room),
    listTaskDefinitionFamilies(room),
    listTaskDefinitions(room),
    listTasks(room),
    putAccountSetting(),
    putClusterCapacityProviders(room),
    registerTaskDefinition(room),
    runTask(room),
    stopTask(room),
    tagResource(room),
    untagResource(room),
    updateCluster(room),
    updateClusterSettings(room),
    updateService(room),
    updateTaskProtection(room),
  ];
}
