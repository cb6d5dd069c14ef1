import { createHash } from "node:crypto";
import type { Failure, RunTaskRequest, RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import type { Members, Operation, RequestContext } from "../../../contracts/service.ts";
import type { Stored, Write } from "../../../contracts/store.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { isProblem, messageOf } from "../../../core/problem.ts";
import { checkPlatformVersion, chooseLaunch } from "../capacity-rules.ts";
import { nextProvider, spread } from "../controllers/placement.ts";
import { CAPACITY_UNAVAILABLE, invalidParameter } from "../errors.ts";
import { activeCluster, checkRoles, usableTaskDefinition } from "../lookups.ts";
import { clusterArn, taskArn } from "../names.ts";
import { resolveNetwork } from "../network-rules.ts";
import { newTask } from "../new-task.ts";
import { readOverrides } from "../override-rules.ts";
import { RUN_TASK_TOKEN_LIFE_MS, runTaskTokenKey, runTaskTokens, type RunTaskTokenRecord, taskKey, type TaskRecord, tasks } from "../records.ts";
import type { Room } from "../room.ts";
import { managedTags, mergeTags, readTags } from "../tags.ts";
import { taskView } from "../task-view.ts";

const MEMBERS: Members = {
  capacityProviderStrategy: "used",
  cluster: "used",
  count: "used",
  enableECSManagedTags: "used",
  enableExecuteCommand: { refused: "ECS Exec is not built yet.", unless: [false] },
  group: "used",
  launchType: "used",
  networkConfiguration: "used",
  overrides: "used",
  "overrides.inferenceAcceleratorOverrides": { refused: "Fargate has no inference accelerators.", unless: [[]] },
  "overrides.containerOverrides.environmentFiles": { refused: "environment files are not built yet.", unless: [[]] },
  "overrides.containerOverrides.resourceRequirements": { refused: "Fargate has no GPUs.", unless: [[]] },
  placementConstraints: { refused: "Fargate has no placement constraints.", unless: [[]] },
  placementStrategy: { refused: "Fargate has no placement strategies.", unless: [[]] },
  platformVersion: "used",
  propagateTags: "used",
  referenceId: { ignored: "a reference of the caller's own, which AWS does not show either" },
  startedBy: "used",
  tags: "used",
  taskDefinition: "used",
  clientToken: "used",
  volumeConfigurations: { refused: "EBS volumes are not built yet.", unless: [[]] },
};

/**
 * Stores `count` tasks and has them admitted; what happens next is the compute layer's. Idempotent by clientToken.
 * @throws ClusterNotFoundException, ClientException, InvalidParameterException, ConflictException, PlatformUnknownException
 */
export function runTask(room: Room): Operation<RunTaskRequest, RunTaskResponse> {
  return {
    name: "RunTask",
    members: MEMBERS,
    async handle(input, context) {
      const replay = await replayOf(room, input, context);
      if (replay !== undefined) return replay;
      const records = await makeRecords(room, input, context);
      const token = tokenWrite(room, { input, context, records });
      try {
        await room.store.transact([
          ...records.map((task): Write => ({ op: "create", collection: tasks, key: taskKey(task, task.cluster, task.taskId), value: task })),
          ...token,
        ]);
      } catch (error) {
        // The same token at the same time: the other call made the tasks.
        const other = isProblem(error, "already-exists", "conflict") ? await replayOf(room, input, context) : undefined;
        if (other === undefined) throw error;
        return other;
      }
      return launch(room, { input, context, records });
    },
  };
}

interface Made {
  readonly input: RunTaskRequest;
  readonly context: RequestContext;
  readonly records: readonly TaskRecord[];
}

/** Admission is immediate: a task that cannot be promised its memory is a failure of this answer, and no task. */
async function launch(room: Room, { context, records }: Made): Promise<RunTaskResponse> {
  const made: Task[] = [];
  const failures: Failure[] = [];
  const outcomes = await Promise.all(
    records.map((task) =>
      room.launcher.launch(taskKey(task, task.cluster, task.taskId)).catch((error: unknown) => {
        context.logger.warn("a task could not be handed to the engine yet; its controller tries again", {
          taskId: task.taskId,
          err: messageOf(error),
        });
        return "started" as const;
      }),
    ),
  );
  for (const [index, task] of records.entries()) {
    if (outcomes[index] === "exhausted")
      failures.push({ arn: taskArn(task, task.cluster, task.taskId), reason: "RESOURCE:MEMORY", detail: CAPACITY_UNAVAILABLE });
    else made.push(answerOf(task));
  }
  return { tasks: made, failures };
}

/** As the task is at its birth: PROVISIONING, its interface not yet made. */
function answerOf(record: TaskRecord): Task {
  return { ...taskView({ record: { ...record, desiredStatus: "RUNNING" } }), tags: [...record.tags] };
}

async function makeRecords(room: Room, input: RunTaskRequest, context: RequestContext): Promise<readonly TaskRecord[]> {
  const scope = { account: context.account, region: context.region };
  const cluster = await activeCluster(room, scope, input.cluster);
  const count = input.count ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > 10) throw invalidParameter("count should be between 1 and 10.");
  if (input.propagateTags === "SERVICE") throw invalidParameter("The propagateTags value SERVICE is not valid for RunTask. Use TASK_DEFINITION.");
  if (input.group !== undefined && /^(service|family):/.test(input.group))
    throw invalidParameter("The group name cannot begin with 'service:' or 'family:'.");
  if (input.startedBy !== undefined && !/^[A-Za-z0-9\-/_]{1,128}$/.test(input.startedBy)) {
    throw invalidParameter("startedBy can have up to 128 letters, numbers, hyphens, slashes and underscores.");
  }
  checkPlatformVersion(input.platformVersion);
  const choice = chooseLaunch(input, cluster.value);
  const { value: taskDefinition } = await usableTaskDefinition(room, scope, input.taskDefinition ?? "");
  const overrides = readOverrides(input.overrides, { taskDefinition, scope });
  await checkRoles(room, [overrides.taskRoleArn, overrides.executionRoleArn]);
  const network = await resolveNetwork(room.ports.network, scope, input.networkConfiguration);
  const providers: (string | undefined)[] = [];
  return spread(network.subnets, [], count).map((subnet) => {
    const provider = nextProvider(choice.strategy, providers);
    providers.push(provider);
    return newTask(room.ids, {
      scope,
      cluster: cluster.value.name,
      taskDefinition,
      group: input.group ?? `family:${taskDefinition.family}`,
      ...(input.startedBy === undefined ? {} : { startedBy: input.startedBy }),
      ...(provider === undefined ? {} : { capacityProviderName: provider }),
      overrides,
      network: { vpcId: network.vpcId, ...subnet, securityGroupIds: network.securityGroupIds, assignPublicIp: network.assignPublicIp },
      loadBalancers: [],
      tags: tagsOf(input, { cluster: cluster.value.name, inherited: input.propagateTags === "TASK_DEFINITION" ? taskDefinition.tags : [] }),
      nowMs: context.nowMs,
    });
  });
}

function tagsOf(input: RunTaskRequest, around: { readonly cluster: string; readonly inherited: TaskRecord["tags"] }): TaskRecord["tags"] {
  const own = mergeTags(around.inherited, readTags(input.tags));
  return input.enableECSManagedTags === true ? mergeTags(own, managedTags(around.cluster, undefined)) : own;
}

function hashOf(input: RunTaskRequest): string {
  return createHash("sha256").update(JSON.stringify(input)).digest("hex");
}

function tokenKeyOf(input: RunTaskRequest, context: RequestContext, cluster: string): string {
  return runTaskTokenKey(context, cluster, Buffer.from(input.clientToken ?? "").toString("hex"));
}

function tokenWrite(room: Room, { input, context, records }: Made): readonly Write[] {
  const [first] = records;
  if (!input.clientToken || first === undefined) return [];
  const value: RunTaskTokenRecord = { requestHash: hashOf(input), taskIds: records.map((task) => task.taskId), createdAtMs: room.clock.nowMs() };
  return [{ op: "create", collection: runTaskTokens, key: tokenKeyOf(input, context, first.cluster), value }];
}

/** What an earlier call with the same token made, as it is now. A token whose tasks are all gone, or a day old, is free again. */
async function replayOf(room: Room, input: RunTaskRequest, context: RequestContext): Promise<RunTaskResponse | undefined> {
  if (!input.clientToken) return undefined;
  const cluster = (await activeCluster(room, context, input.cluster)).value.name;
  const key = tokenKeyOf(input, context, cluster);
  const token: Stored<RunTaskTokenRecord> | undefined = await room.store.get(runTaskTokens, key);
  if (token === undefined) return undefined;
  await room.tasks.ready();
  const made = token.value.taskIds.flatMap((id) => room.tasks.get(taskKey(context, cluster, id)) ?? []);
  if (made.length === 0 || context.nowMs - token.value.createdAtMs > RUN_TASK_TOKEN_LIFE_MS) {
    await room.store.transact([{ op: "delete", collection: runTaskTokens, key, ifRevision: token.revision }]);
    return undefined;
  }
  if (token.value.requestHash !== hashOf(input)) {
    throw new AwsError("ConflictException", `The clientToken has been used for another request in cluster ${clusterArn(context, cluster)}.`, {
      fields: { resourceIds: token.value.taskIds.map((id) => taskArn(context, cluster, id)) },
    });
  }
  return { tasks: made.map((task) => ({ ...room.tasks.viewOf(task), tags: [...task.record.tags] })), failures: [] };
}
