import type { RegisterTaskDefinitionRequest, Volume } from "@aws-sdk/client-ecs";
import type { Scope } from "../../core/scope.ts";
import { checkDependencies, readContainer } from "./container-rules.ts";
import { clientError, notBuilt } from "./errors.ts";
import { type FargateSize, readFargateSize } from "./fargate-sizes.ts";
import { isName } from "./names.ts";
import type { TaskDefinitionRecord } from "./records.ts";

export type Definition = TaskDefinitionRecord["definition"];

const MAXIMUM_CONTAINERS = 10;
const MAXIMUM_BYTES = 65_536;

/** AWS's refusal of a member that Fargate does not have. */
export function notOnFargate(member: string): Error {
  return clientError(`Fargate compatible task definitions do not support ${member}`);
}

/**
 * Checks a definition by the rules of Fargate and fills AWS's defaults in.
 * Differs: a definition that does not name FARGATE in `requiresCompatibilities` is registered only if Fargate could run it too, because
 * nothing else runs it here.
 * @throws ClientException with AWS's words for the first rule that is broken.
 * @see https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
 */
export function readDefinition(input: RegisterTaskDefinitionRequest, scope: Scope): Definition {
  if (!isName(input.family ?? "")) {
    throw clientError("Family contains invalid characters. Use up to 255 letters (uppercase and lowercase), numbers, underscores and hyphens.");
  }
  checkCompatibilities(input);
  const size = readSize(input);
  checkTaskMembers(input);
  const volumes = (input.volumes ?? []).map(readVolume);
  const containers = input.containerDefinitions ?? [];
  if (containers.length === 0) throw clientError("Container list cannot be empty.");
  if (containers.length > MAXIMUM_CONTAINERS) throw clientError("Too many containers");
  const read = containers.map((container) => readContainer(container, { region: scope.region, volumes: new Set(volumes.map((v) => v.name ?? "")) }));
  checkTogether(read, size);
  const roles = readRoles(input, scope);
  checkExecutionRole(read, roles.executionRoleArn);
  const { tags: _tags, ...rest } = input;
  const definition: Definition = {
    ...rest,
    ...roles,
    networkMode: "awsvpc",
    cpu: String(size.cpuUnits),
    memory: String(size.memoryMiB),
    containerDefinitions: read,
    volumes,
    placementConstraints: [],
  };
  if (Buffer.byteLength(JSON.stringify(definition)) > MAXIMUM_BYTES)
    throw clientError("Actual length of the task definition exceeds the maximum of 65536 bytes.");
  return definition;
}

function checkCompatibilities(input: RegisterTaskDefinitionRequest): void {
  const wanted = input.requiresCompatibilities ?? [];
  if (wanted.length > 0 && !wanted.includes("FARGATE")) {
    throw notBuilt(`requiresCompatibilities=${wanted.join(",")}`, "tasks run on Fargate only; name FARGATE.");
  }
  if (input.networkMode !== "awsvpc") throw clientError("Fargate only supports network mode ‘awsvpc’.");
}

function readSize(input: RegisterTaskDefinitionRequest): FargateSize {
  if (!input.cpu) throw clientError("Fargate requires that 'cpu' be defined at the task level.");
  if (!input.memory) throw clientError("Fargate requires that 'memory' be defined at the task level.");
  return readFargateSize(input.cpu, input.memory);
}

function checkTaskMembers(input: RegisterTaskDefinitionRequest): void {
  if (input.ipcMode !== undefined) throw notOnFargate("ipcMode");
  if (input.pidMode === "host") throw notOnFargate("pidMode=host. Use pidMode=task");
  if ((input.placementConstraints ?? []).length > 0) throw notOnFargate("constraints");
  if ((input.inferenceAccelerators ?? []).length > 0) throw notOnFargate("inferenceAccelerators");
  const storage = input.ephemeralStorage;
  if (storage !== undefined && (storage.sizeInGiB === undefined || storage.sizeInGiB < 21 || storage.sizeInGiB > 200)) {
    throw clientError("The value of ephemeralStorage.sizeInGiB is not valid. Specify a value between 21 and 200.");
  }
  const platform = input.runtimePlatform;
  if (platform?.operatingSystemFamily !== undefined && platform.operatingSystemFamily !== "LINUX") {
    throw notBuilt(`runtimePlatform.operatingSystemFamily=${platform.operatingSystemFamily}`, "only LINUX containers run here.");
  }
  const own = process.arch === "arm64" ? "ARM64" : "X86_64";
  if (platform?.cpuArchitecture !== undefined && platform.cpuArchitecture !== own) {
    throw notBuilt(`runtimePlatform.cpuArchitecture=${platform.cpuArchitecture}`, `this host runs ${own} only.`);
  }
}

function readVolume(volume: Volume): Volume {
  if (!isName(volume.name ?? "")) throw clientError("Volume.name should not be null or empty, and holds letters, numbers, underscores and hyphens.");
  if (volume.host?.sourcePath !== undefined && volume.host.sourcePath !== "") throw notOnFargate("sourcePath");
  if (volume.dockerVolumeConfiguration !== undefined) throw notOnFargate("dockerVolumeConfiguration");
  if (volume.fsxWindowsFileServerVolumeConfiguration !== undefined) throw notOnFargate("fsxWindowsFileServerVolumeConfiguration");
  return { name: volume.name, host: {} };
}

/** What must hold across the containers of a definition. */
function checkTogether(containers: readonly Readable[], size: FargateSize): void {
  const names = containers.map((container) => container.name ?? "");
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw clientError(`Container name ${twice} is used by more than one container.`);
  if (!containers.some((container) => container.essential)) throw clientError("TaskDefinition must have at least one essential container.");
  const cpu = containers.reduce((sum, container) => sum + (container.cpu ?? 0), 0);
  if (cpu > size.cpuUnits) throw clientError("The total number of CPU units reserved for containers is greater than the CPU units of the task.");
  const memory = containers.reduce((sum, container) => sum + (container.memoryReservation ?? container.memory ?? 0), 0);
  if (memory > size.memoryMiB)
    throw clientError("Invalid setting for container. The total memory of the containers is greater than the memory of the task.");
  for (const container of containers) {
    if ((container.memory ?? 0) > size.memoryMiB) {
      throw clientError(`Invalid setting for container '${container.name}'. 'memory' of the container is greater than the memory of the task.`);
    }
  }
  const ports = containers.flatMap((container) => (container.portMappings ?? []).map((port) => `${port.containerPort}/${port.protocol}`));
  const taken = ports.find((port, index) => ports.indexOf(port) !== index);
  if (taken !== undefined)
    throw clientError(`Container port ${taken} is used by more than one port mapping; containers of an awsvpc task share one address.`);
  checkDependencies(containers);
}

type Readable = ReturnType<typeof readContainer>;

function readRoles(input: RegisterTaskDefinitionRequest, scope: Scope): { readonly taskRoleArn?: string; readonly executionRoleArn?: string } {
  const roles: { taskRoleArn?: string; executionRoleArn?: string } = {};
  if (input.taskRoleArn) roles.taskRoleArn = roleArn(input.taskRoleArn, scope);
  if (input.executionRoleArn) roles.executionRoleArn = roleArn(input.executionRoleArn, scope);
  return roles;
}

/** A role's ARN from its ARN or name. @throws ClientException "Role is not valid". */
export function roleArn(reference: string, scope: Scope): string {
  if (/^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/.test(reference)) return reference;
  if (/^[\w+=,.@-]{1,64}$/.test(reference)) return `arn:aws:iam::${scope.account}:role/${reference}`;
  throw clientError("Role is not valid");
}

function checkExecutionRole(containers: readonly Readable[], executionRoleArn: string | undefined): void {
  if (executionRoleArn !== undefined) return;
  if (containers.some((container) => /^\d{12}\.dkr\.ecr\./.test(container.image ?? ""))) {
    throw clientError("Fargate requires task definition to have execution role ARN to support ECR images.");
  }
  if (containers.some((container) => container.logConfiguration?.logDriver === "awslogs")) {
    throw clientError("Fargate requires task definition to have execution role ARN to support log driver awslogs.");
  }
}
