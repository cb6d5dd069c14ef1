import type { ContainerDefinition, ContainerOverride, HealthCheck, KeyValuePair } from "@aws-sdk/client-ecs";
import type {
  ContainerSpec,
  EnvironmentVariable,
  LogSink,
  Mount,
  Probe,
  RestartRule,
  StartCondition,
  VolumeSpec,
  Workload,
} from "../../contracts/workload.ts";
import { clusterArn, taskArn, taskDefinitionArn } from "./names.ts";
import type { TaskDefinitionRecord, TaskRecord } from "./records.ts";

export const LOAD_BALANCER_HOOK = "ecs-load-balancer";
export const LOG_GROUP_HOOK = "ecs-log-groups";

const DEFAULT_STOP_TIMEOUT_SECONDS = 30;
/** What Fargate gives where the definition says nothing. */
const DEFAULT_NOFILE = { name: "nofile", soft: 65_535, hard: 65_535 };

export interface CompileOptions {
  readonly runtimeHandler: string;
}

/** A load balancer target that a task is to be registered as; in the workload's label `targets`. */
export interface TargetLabel {
  readonly targetGroupArn: string;
  readonly port: number;
}

/**
 * Compiles a task (definition, overrides, network) to the one Workload that the compute layer runs. Pure: the same records give the same
 * workload, so that a start may be repeated after a crash.
 */
export function compileWorkload(task: TaskRecord, taskDefinition: TaskDefinitionRecord, options: CompileOptions): Workload {
  const { definition } = taskDefinition;
  const taskRoleArn = task.overrides.taskRoleArn ?? definition.taskRoleArn;
  const executionRoleArn = task.overrides.executionRoleArn ?? definition.executionRoleArn;
  const containers = definition.containerDefinitions.map((container) =>
    compileContainer(container, { task, siblings: definition.containerDefinitions, hasTaskRole: Boolean(taskRoleArn) }),
  );
  return {
    id: task.taskId,
    account: task.account,
    region: task.region,
    availabilityZone: task.network.availabilityZone,
    labels: labelsOf(task),
    runtimeHandler: options.runtimeHandler,
    network: {
      attachmentId: task.network.attachmentId,
      vpcId: task.network.vpcId,
      subnetId: task.network.subnetId,
      securityGroupIds: task.network.securityGroupIds,
      assignPublicIp: task.network.assignPublicIp,
    },
    cpuUnits: task.cpuUnits,
    memoryMiB: task.memoryMiB,
    ephemeralStorageGiB: task.ephemeralStorageGiB,
    sharePidNamespace: definition.pidMode === "task",
    hosts: [],
    // The last container's value of a name wins, as on Fargate.
    sysctls: [
      ...new Map(
        definition.containerDefinitions.flatMap((each) => each.systemControls ?? []).map((each) => [each.namespace ?? "", each.value ?? ""]),
      ),
    ].map(([name, value]) => ({ name, value })),
    containers,
    volumes: (definition.volumes ?? []).map((volume): VolumeSpec => ({ name: volume.name ?? "", type: "ephemeral" })),
    ...(taskRoleArn ? { taskRoleArn } : {}),
    ...(executionRoleArn ? { executionRoleArn } : {}),
    spot: task.capacityProviderName === "FARGATE_SPOT",
    system: false,
    hooks: [
      ...(containers.some((container) => container.log.type === "awslogs") ? [LOG_GROUP_HOOK] : []),
      ...(task.loadBalancers.length > 0 ? [LOAD_BALANCER_HOOK] : []),
    ],
  };
}

function labelsOf(task: TaskRecord): Readonly<Record<string, string>> {
  const targets: TargetLabel[] = task.loadBalancers.flatMap((balancer) =>
    balancer.targetGroupArn === undefined || balancer.containerPort === undefined
      ? []
      : [{ targetGroupArn: balancer.targetGroupArn, port: balancer.containerPort }],
  );
  return {
    owner: "ecs",
    cluster: task.cluster,
    clusterArn: clusterArn(task, task.cluster),
    taskArn: taskArn(task, task.cluster, task.taskId),
    taskDefinitionArn: taskDefinitionArn(task, task.family, task.revision),
    family: task.family,
    revision: String(task.revision),
    group: task.group,
    launchType: "FARGATE",
    containerArnIds: JSON.stringify(Object.fromEntries(task.containers.map((container) => [container.name, container.arnId]))),
    targets: JSON.stringify(targets),
    ...(task.service === undefined ? {} : { serviceName: task.service.name, deploymentId: task.service.deploymentId }),
    ...(task.startedBy === undefined ? {} : { startedBy: task.startedBy }),
  };
}

interface Around {
  readonly task: TaskRecord;
  readonly siblings: readonly ContainerDefinition[];
  readonly hasTaskRole: boolean;
}

function compileContainer(container: ContainerDefinition, around: Around): ContainerSpec {
  const { task } = around;
  const name = container.name ?? "";
  const override = (task.overrides.containerOverrides ?? []).find((each) => each.name === name);
  const digest = task.containers.find((each) => each.name === name)?.imageDigest;
  const command = override?.command ?? container.command;
  const memory = override?.memory ?? container.memory;
  const memoryReservation = override?.memoryReservation ?? container.memoryReservation;
  return {
    name,
    kind: "main",
    image: container.image ?? "",
    ...(digest === undefined ? {} : { imageDigest: digest }),
    pullPolicy: digest === undefined ? "always" : "if-not-present",
    ...optionalWords("entryPoint", container.entryPoint),
    ...optionalWords("command", command),
    ...(container.workingDirectory ? { workingDirectory: container.workingDirectory } : {}),
    environment: environmentOf(container, override, around),
    mounts: mountsOf(container, around.siblings),
    essential: container.essential ?? true,
    dependsOn: (container.dependsOn ?? []).map(startConditionOf),
    ...(container.startTimeout === undefined ? {} : { startTimeoutSeconds: container.startTimeout }),
    stopTimeoutSeconds: container.stopTimeout ?? DEFAULT_STOP_TIMEOUT_SECONDS,
    restart: restartOf(container),
    probes: container.healthCheck === undefined ? {} : { health: probeOf(container.healthCheck) },
    cpuUnits: override?.cpu ?? container.cpu ?? 0,
    ...(memory === undefined ? {} : { memoryMiB: memory }),
    ...(memoryReservation === undefined ? {} : { memoryReservationMiB: memoryReservation }),
    ...(container.user ? { user: container.user } : {}),
    addCapabilities: container.linuxParameters?.capabilities?.add ?? [],
    dropCapabilities: container.linuxParameters?.capabilities?.drop ?? [],
    readOnlyRootFilesystem: container.readonlyRootFilesystem ?? false,
    ulimits: ulimitsOf(container),
    tty: container.pseudoTerminal ?? false,
    stdin: container.interactive ?? false,
    initProcess: container.linuxParameters?.initProcessEnabled ?? false,
    log: logOf(container, task),
    ports: (container.portMappings ?? []).map((port) => ({
      containerPort: port.containerPort ?? 0,
      protocol: port.protocol ?? "tcp",
      ...(port.name === undefined ? {} : { name: port.name }),
    })),
    labels: {
      ...container.dockerLabels,
      "com.amazonaws.ecs.cluster": clusterArn(task, task.cluster),
      "com.amazonaws.ecs.container-name": name,
      "com.amazonaws.ecs.task-arn": taskArn(task, task.cluster, task.taskId),
      "com.amazonaws.ecs.task-definition-family": task.family,
      "com.amazonaws.ecs.task-definition-version": String(task.revision),
    },
  };
}

/** An empty list means the image's own, as in Docker. */
function optionalWords<Name extends string>(name: Name, words: readonly string[] | undefined): { [key in Name]?: readonly string[] } {
  return words === undefined || words.length === 0 ? {} : ({ [name]: words } as { [key in Name]?: readonly string[] });
}

/** The platform's variables, then the definition's, then the override's; a later one of the same name wins. */
function environmentOf(container: ContainerDefinition, override: ContainerOverride | undefined, around: Around): readonly EnvironmentVariable[] {
  const { region } = around.task;
  const variables: EnvironmentVariable[] = [
    { name: "ECS_CONTAINER_METADATA_URI", producer: "metadata-uri" },
    { name: "ECS_CONTAINER_METADATA_URI_V4", producer: "metadata-uri-v4" },
    { name: "ECS_AGENT_URI", producer: "agent-uri" },
    ...(around.hasTaskRole ? [{ name: "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", producer: "credentials-relative-uri" }] : []),
    { name: "AWS_EXECUTION_ENV", value: "AWS_ECS_FARGATE" },
    { name: "AWS_REGION", value: region },
    { name: "AWS_DEFAULT_REGION", value: region },
    { name: "AWS_ENDPOINT_URL", producer: "endpoint-url" },
    ...literals(container.environment),
    ...literals(override?.environment),
  ];
  return [...new Map(variables.map((variable) => [variable.name, variable])).values()];
}

function literals(pairs: readonly KeyValuePair[] | undefined): readonly EnvironmentVariable[] {
  return (pairs ?? []).map((pair) => ({ name: pair.name ?? "", value: pair.value ?? "" }));
}

function mountsOf(container: ContainerDefinition, siblings: readonly ContainerDefinition[]): readonly Mount[] {
  const own = (container.mountPoints ?? []).map((mount) => ({
    volume: mount.sourceVolume ?? "",
    containerPath: mount.containerPath ?? "",
    readOnly: mount.readOnly ?? false,
  }));
  const borrowed = (container.volumesFrom ?? []).flatMap((from) => {
    const source = siblings.find((sibling) => sibling.name === from.sourceContainer);
    return (source?.mountPoints ?? []).map((mount) => ({
      volume: mount.sourceVolume ?? "",
      containerPath: mount.containerPath ?? "",
      readOnly: from.readOnly === true || mount.readOnly === true,
    }));
  });
  return [...borrowed.filter((mount) => !own.some((each) => each.containerPath === mount.containerPath)), ...own];
}

const CONDITIONS = { START: "started", COMPLETE: "completed", SUCCESS: "succeeded", HEALTHY: "healthy" } as const;

function startConditionOf(dependency: NonNullable<ContainerDefinition["dependsOn"]>[number]): StartCondition {
  return { container: dependency.containerName ?? "", condition: CONDITIONS[dependency.condition ?? "START"] };
}

function restartOf(container: ContainerDefinition): RestartRule {
  const policy = container.restartPolicy;
  if (policy?.enabled !== true) return { policy: "never" };
  return { policy: "always", ignoredExitCodes: policy.ignoredExitCodes ?? [], minimumRunSeconds: policy.restartAttemptPeriod ?? 300 };
}

function probeOf(check: HealthCheck): Probe & { readonly startPeriodSeconds: number } {
  const [kind, ...words] = check.command ?? [];
  const command = kind === "CMD" ? words : ["/bin/sh", "-c", kind === "CMD-SHELL" ? words.join(" ") : [kind, ...words].join(" ")];
  return {
    action: { type: "exec", command },
    initialDelaySeconds: 0,
    periodSeconds: check.interval ?? 30,
    timeoutSeconds: check.timeout ?? 5,
    failureThreshold: check.retries ?? 3,
    successThreshold: 1,
    startPeriodSeconds: check.startPeriod ?? 0,
  };
}

function ulimitsOf(container: ContainerDefinition): ContainerSpec["ulimits"] {
  const own = (container.ulimits ?? []).map((limit) => ({ name: limit.name ?? "", soft: limit.softLimit ?? 0, hard: limit.hardLimit ?? 0 }));
  return own.some((limit) => limit.name === "nofile") ? own : [DEFAULT_NOFILE, ...own];
}

function logOf(container: ContainerDefinition, task: TaskRecord): LogSink {
  const options = container.logConfiguration?.options;
  if (container.logConfiguration?.logDriver !== "awslogs" || options === undefined) return { type: "none" };
  const datetimeFormat = options["awslogs-datetime-format"];
  const multilinePattern = options["awslogs-multiline-pattern"];
  return {
    type: "awslogs",
    account: task.account,
    region: options["awslogs-region"] ?? task.region,
    group: options["awslogs-group"] ?? "",
    stream: `${options["awslogs-stream-prefix"]}/${container.name}/${task.taskId}`,
    createGroup: options["awslogs-create-group"] === "true",
    ...(datetimeFormat === undefined ? {} : { datetimeFormat }),
    ...(multilinePattern === undefined ? {} : { multilinePattern }),
  };
}
