import type { Controller, ReconcileResult } from "../../../contracts/controller.ts";
import type { Stored, Write } from "../../../contracts/store.ts";
import { isProblem, messageOf } from "../../../core/problem.ts";
import { newTask } from "../new-task.ts";
import { desiredStatusOf, lastStatusOf, type ObservedTask, stoppedAtOf } from "../observed-task.ts";
import {
  type DeploymentRecord,
  type ServiceRecord,
  serviceKey,
  services,
  type TaskDefinitionRecord,
  taskDefinitionKey,
  taskDefinitions,
  taskKey,
  type TaskRecord,
  tasks,
} from "../records.ts";
import { requestStop } from "../request-stop.ts";
import type { Room } from "../room.ts";
import { forgetHistory, historyWrites } from "../service-deployments.ts";
import { eventMessage, MAXIMUM_EVENTS, serviceEvent } from "../service-events.ts";
import { managedTags, mergeTags } from "../tags.ts";
import { nextProvider } from "./placement.ts";
import { planService, type ServicePlan } from "./plan-service.ts";
import { backOff } from "./rollout-arithmetic.ts";
import type { PlannedTarget, PlannedTask } from "./service-observation.ts";

const keyOfTask = (record: TaskRecord | undefined): readonly string[] =>
  record?.service === undefined ? [] : [serviceKey(record, record.cluster, record.service.name)];

/** Holds each service at what it is asked to be. What to do is `planService`'s; here it is looked at and done. */
export function createServiceController(room: Room): Controller {
  return {
    name: "ecs-service",
    watches: [
      { collection: services, keysOf: (change) => [change.key] },
      { collection: tasks, keysOf: (change) => keyOfTask(change.value ?? change.previous) },
    ],
    sources(wake) {
      const statuses = room.tasks.onStatus((_key, record) => keyOfTask(record).forEach(wake));
      const targets = room.ports.targets.watch((health) => {
        for (const task of room.tasks.withTarget(health)) keyOfTask(task).forEach(wake);
      });
      return {
        [Symbol.dispose]() {
          statuses[Symbol.dispose]();
          targets[Symbol.dispose]();
        },
      };
    },
    async initialKeys() {
      return (await room.store.list(services)).map((service) => service.key);
    },
    async reconcile(key) {
      await room.tasks.ready();
      const stored = await room.store.get(services, key);
      if (stored !== undefined) return reconcileService(room, stored);
    },
  };
}

async function reconcileService(room: Room, stored: Stored<ServiceRecord>): Promise<ReconcileResult | void> {
  if (stored.value.status === "INACTIVE") return expire(room, stored);
  const observed = await Promise.all(room.tasks.ofService(stored.key).map((task) => observe(room, task)));
  const plan = planService({
    service: stored.value,
    tasks: observed,
    nowMs: room.clock.nowMs(),
    presentOf: (atMs) => room.times.of(atMs),
  });
  const made = await makeTasks(room, plan);
  const events = [
    ...plan.events,
    ...(made.records.length > 0
      ? [
          serviceEvent.started(
            made.records.map((task) => task.taskId),
            plan.replacing,
          ),
        ]
      : []),
  ];
  const service = withEvents(room, made.service, events);
  const writes = [
    ...writesFor(room, { stored, service, plan }),
    ...(await historyWrites(room, stored.value, service)),
    ...made.records.map(createTask),
  ];
  if (writes.length > 0) {
    try {
      await room.store.transact(writes);
    } catch (error) {
      // Somebody changed the service or a task since it was looked at: look again.
      if (isProblem(error, "conflict", "not-found")) return { requeueAfterMs: 0 };
      throw error;
    }
  }
  for (const stop of plan.stops) {
    await requestStop(room, taskKey(service, service.cluster, stop.taskId), { code: "ServiceSchedulerInitiated", reason: stop.reason });
  }
  await launchAll(room, stored.key, made.records);
  return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
}

/** INACTIVE services stay visible for a while. */
async function expire(room: Room, stored: Stored<ServiceRecord>): Promise<ReconcileResult | void> {
  const leftMs = (stored.value.inactiveAtMs ?? 0) + room.keepStoppedMs - room.clock.nowMs();
  if (leftMs > 0) return { requeueAfterMs: leftMs };
  const history = await forgetHistory(room, stored.value);
  await room.store.transact([{ op: "delete", collection: services, key: stored.key, ifRevision: stored.revision }, ...history]);
}

const createTask = (task: TaskRecord): Write => ({ op: "create", collection: tasks, key: taskKey(task, task.cluster, task.taskId), value: task });

function writesFor(
  room: Room,
  { stored, service, plan }: { readonly stored: Stored<ServiceRecord>; readonly service: ServiceRecord; readonly plan: ServicePlan },
): readonly Write[] {
  const changed = new Map<string, { settled?: true; announced?: true }>();
  for (const id of plan.settled) changed.set(id, { ...changed.get(id), settled: true });
  for (const id of plan.announced) changed.set(id, { ...changed.get(id), announced: true });
  const marks = [...changed].flatMap(([id, mark]): Write[] => {
    const task = room.tasks.get(taskKey(service, service.cluster, id));
    if (task?.record.service === undefined) return [];
    const value = { ...task.record, service: { ...task.record.service, ...mark } };
    return [{ op: "update", collection: tasks, key: task.key, value, ifRevision: task.revision }];
  });
  // The service is written with every start too: its revision then guards against a change that the plan has not seen.
  if (service === stored.value && plan.starts.length === 0) return marks;
  return [{ op: "update", collection: services, key: stored.key, value: service, ifRevision: stored.revision }, ...marks];
}

function withEvents(room: Room, service: ServiceRecord, texts: readonly string[]): ServiceRecord {
  if (texts.length === 0) return service;
  const createdAtMs = room.clock.nowMs();
  const events = texts.map((text) => ({ id: room.ids.uuid(), createdAtMs, message: eventMessage(service.name, text) }));
  return { ...service, events: [...events.reverse(), ...service.events].slice(0, MAXIMUM_EVENTS) };
}

interface MadeTasks {
  readonly service: ServiceRecord;
  readonly records: readonly TaskRecord[];
}

/** The records of the tasks to start; the first start of a deployment pins its images' digests. */
async function makeTasks(room: Room, plan: ServicePlan): Promise<MadeTasks> {
  const [start] = plan.starts;
  const deployment = plan.service.deployments.find((each) => each.id === start?.deploymentId);
  if (deployment === undefined) return { service: plan.service, records: [] };
  const { revision } = deployment;
  const stored = await room.store.get(taskDefinitions, taskDefinitionKey(plan.service, revision.family, revision.taskDefinitionRevision));
  if (stored === undefined)
    throw new Error(`service ${plan.service.name}: task definition ${revision.family}:${revision.taskDefinitionRevision} is gone`);
  const pinned = revision.imageDigests ?? (await pinImages(room, stored.value));
  const service: ServiceRecord =
    revision.imageDigests === undefined
      ? {
          ...plan.service,
          deployments: plan.service.deployments.map((each) =>
            each.id === deployment.id ? { ...each, revision: { ...revision, imageDigests: pinned } } : each,
          ),
        }
      : plan.service;
  const providers = room.tasks
    .ofService(serviceKey(service, service.cluster, service.name))
    .filter((task) => task.record.service?.deploymentId === deployment.id && desiredStatusOf(task) === "RUNNING")
    .map((task) => task.record.capacityProviderName);
  const records = plan.starts.map(({ subnet }) => {
    const provider = nextProvider(revision.capacityProviderStrategy, providers);
    providers.push(provider);
    return serviceTask(room, { service, deployment, taskDefinition: stored.value, subnet, provider, pinned });
  });
  return { service, records };
}

function serviceTask(
  room: Room,
  from: {
    readonly service: ServiceRecord;
    readonly deployment: DeploymentRecord;
    readonly taskDefinition: TaskDefinitionRecord;
    readonly subnet: { readonly subnetId: string; readonly availabilityZone: string };
    readonly provider: string | undefined;
    readonly pinned: Readonly<Record<string, string>>;
  },
): TaskRecord {
  const { service, deployment, taskDefinition } = from;
  const propagated = { NONE: [], SERVICE: service.tags, TASK_DEFINITION: taskDefinition.tags }[service.propagateTags];
  return newTask(room.ids, {
    scope: { account: service.account, region: service.region },
    cluster: service.cluster,
    taskDefinition,
    group: `service:${service.name}`,
    startedBy: deployment.id,
    ...(from.provider === undefined ? {} : { capacityProviderName: from.provider }),
    overrides: {},
    network: {
      vpcId: deployment.revision.vpcId,
      ...from.subnet,
      securityGroupIds: deployment.revision.securityGroupIds,
      assignPublicIp: deployment.revision.assignPublicIp,
    },
    loadBalancers: deployment.revision.loadBalancers,
    tags: service.enableECSManagedTags ? mergeTags(propagated, managedTags(service.cluster, service.name)) : propagated,
    service: { name: service.name, deploymentId: deployment.id },
    imageDigests: from.pinned,
    nowMs: room.clock.nowMs(),
  });
}

/** Tags become digests once a deployment. One that cannot be resolved is left: the task's own pull says why. */
async function pinImages(room: Room, taskDefinition: TaskDefinitionRecord): Promise<Readonly<Record<string, string>>> {
  const digests: Record<string, string> = {};
  for (const container of taskDefinition.definition.containerDefinitions) {
    if (container.versionConsistency === "disabled" || (container.image ?? "").includes("@")) continue;
    try {
      const digest = await room.ports.images.resolve(taskDefinition, container.image ?? "");
      if (digest !== undefined) digests[container.name ?? ""] = digest;
    } catch (error) {
      room.logger.info("an image's digest could not be told; its tasks pull by tag", { image: container.image, err: messageOf(error) });
    }
  }
  return digests;
}

async function launchAll(room: Room, key: string, records: readonly TaskRecord[]): Promise<void> {
  const outcomes = await Promise.all(records.map((task) => room.launcher.launch(taskKey(task, task.cluster, task.taskId))));
  const refused = records.find((_task, index) => outcomes[index] === "exhausted");
  if (refused !== undefined) await noteNoCapacity(room, key, refused);
}

/** No room: told once, and tried again with back-off. */
async function noteNoCapacity(room: Room, key: string, task: TaskRecord): Promise<void> {
  const stored = await room.store.get(services, key);
  if (stored === undefined) return;
  const nowMs = room.clock.nowMs();
  const told = stored.value.standing["no-capacity"] !== undefined;
  const service: ServiceRecord = {
    ...stored.value,
    standing: { ...stored.value.standing, "no-capacity": nowMs },
    deployments: stored.value.deployments.map((deployment) =>
      deployment.id === task.service?.deploymentId ? backOff(deployment, { kind: "capacity", createdAtMs: task.createdAtMs, nowMs }) : deployment,
    ),
  };
  const value = withEvents(room, service, told ? [] : [serviceEvent.noCapacity()]);
  await room.store.transact([{ op: "update", collection: services, key, value, ifRevision: stored.revision }]);
}

async function observe(room: Room, task: ObservedTask): Promise<PlannedTask> {
  const { record, status } = task;
  const stoppedAtMs = stoppedAtOf(task);
  const stop = status?.stop ?? record.stop;
  return {
    id: record.taskId,
    deploymentId: record.service?.deploymentId ?? "",
    subnetId: record.network.subnetId,
    availabilityZone: record.network.availabilityZone,
    createdAtMs: record.createdAtMs,
    phase: phaseOf(task),
    ...(record.capacityProviderName === undefined ? {} : { capacityProviderName: record.capacityProviderName }),
    ...(status?.startedAtMs === undefined ? {} : { startedAtMs: room.times.past(status.startedAtMs) }),
    ...(stoppedAtMs === undefined ? {} : { stoppedAtMs: room.times.past(stoppedAtMs) }),
    ...(stop === undefined ? {} : { stop: { code: stop.code, reason: stop.reason } }),
    hasHealthCheck: record.containers.some((container) => container.essential && container.hasHealthCheck),
    health: status?.health ?? "UNKNOWN",
    targets: await targetsOf(room, task),
    settled: record.service?.settled ?? false,
    announced: record.service?.announced ?? false,
    ...(record.protection === undefined ? {} : { protectedUntilMs: room.times.of(record.protection.expiresAtMs) }),
  };
}

function phaseOf(task: ObservedTask): PlannedTask["phase"] {
  const lastStatus = lastStatusOf(task);
  if (lastStatus === "STOPPED") return "stopped";
  if (desiredStatusOf(task) === "STOPPED") return "stopping";
  return lastStatus === "RUNNING" ? "running" : "pending";
}

async function targetsOf(room: Room, { record, status }: ObservedTask): Promise<readonly PlannedTarget[]> {
  const ip = status?.network?.privateIpv4;
  const running = status?.state === "RUNNING" && record.desiredStatus === "RUNNING";
  return Promise.all(
    record.loadBalancers.map(async (balancer): Promise<PlannedTarget> => {
      const targetGroupArn = balancer.targetGroupArn ?? "";
      const port = balancer.containerPort ?? 0;
      const health = ip === undefined || !running ? undefined : await room.ports.targets.health(targetGroupArn, { ip, port });
      return {
        targetGroupArn,
        port,
        state: health?.state ?? "unregistered",
        ...(health?.reason === undefined ? {} : { reason: health.description ?? health.reason }),
      };
    }),
  );
}
