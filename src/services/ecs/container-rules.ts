import type { ContainerDefinition, HealthCheck, LinuxParameters, PortMapping } from "@aws-sdk/client-ecs";
import { clientError } from "./errors.ts";
import { checkLogConfiguration } from "./log-rules.ts";
import { isName } from "./names.ts";

interface Surroundings {
  readonly region: string;
  /** Names of the task's volumes. */
  readonly volumes: ReadonlySet<string>;
}

const refuse = (member: string): Error => clientError(`Fargate compatible task definitions do not support ${member}`);

/** Members of a container that Fargate does not have, in AWS's own names for them. */
function checkForbidden(container: ContainerDefinition): void {
  if ((container.links ?? []).length > 0) throw clientError("Links are not supported when networkMode=awsvpc.");
  if (container.hostname) throw clientError("The hostname parameter is not supported when networkMode=awsvpc.");
  if (container.privileged === true) throw refuse("privileged containers");
  if (container.disableNetworking === true) throw refuse("disableNetworking");
  if ((container.dnsServers ?? []).length > 0) throw clientError("DNS servers are not supported on container when networkMode=awsvpc.");
  if ((container.dnsSearchDomains ?? []).length > 0) throw clientError("DNS search domains are not supported on container when networkMode=awsvpc.");
  if ((container.extraHosts ?? []).length > 0) throw clientError("Extra hosts are not supported on container when networkMode=awsvpc.");
  if ((container.dockerSecurityOptions ?? []).length > 0) throw refuse("dockerSecurityOptions");
  if ((container.resourceRequirements ?? []).length > 0) throw refuse("resourceRequirements");
  if ((container.credentialSpecs ?? []).length > 0) throw refuse("credentialSpecs");
}

/**
 * Checks one container by Fargate's rules and fills in what AWS echoes when it is left out.
 * @throws ClientException with AWS's words where they are known.
 */
export function readContainer(container: ContainerDefinition, around: Surroundings): ContainerDefinition {
  if (!container.name) throw clientError("Container.name should not be null or empty.");
  if (!container.image) throw clientError("Container.image should not be null or empty.");
  if (!isName(container.name)) throw clientError(`Container name ${container.name} holds other than letters, numbers, underscores and hyphens.`);
  checkImage(container.image);
  checkForbidden(container);
  checkLimits(container);
  checkLinuxParameters(container.linuxParameters);
  checkMounts(container, around.volumes);
  checkRestartPolicy(container);
  checkSystemControls(container);
  if (container.logConfiguration !== undefined) checkLogConfiguration(container.logConfiguration, { region: around.region });
  const health = readHealthCheck(container.healthCheck);
  return {
    ...container,
    cpu: container.cpu ?? 0,
    portMappings: (container.portMappings ?? []).map(readPort),
    essential: container.essential ?? true,
    environment: container.environment ?? [],
    mountPoints: container.mountPoints ?? [],
    volumesFrom: container.volumesFrom ?? [],
    systemControls: container.systemControls ?? [],
    ...(health === undefined ? {} : { healthCheck: health }),
  };
}

function checkImage(image: string): void {
  const [name = "", digest] = image.split("@", 2);
  if (name.length > 255) throw clientError("Container.image should be at most 255 characters.");
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest)) throw clientError(`Container.image contains an invalid digest: ${digest}`);
  if (!/^[A-Za-z0-9._/:-]+$/.test(name)) throw clientError("Container.image contains invalid characters.");
}

function range(member: string, value: number | undefined, low: number, high: number): void {
  if (value !== undefined && (!Number.isInteger(value) || value < low || value > high)) {
    throw clientError(`Invalid '${member}' setting for container: ${value}. Specify a value between ${low} and ${high}.`);
  }
}

function checkLimits(container: ContainerDefinition): void {
  range("cpu", container.cpu, 0, 1_048_576);
  range("memory", container.memory, 6, 1_048_576);
  range("memoryReservation", container.memoryReservation, 6, 1_048_576);
  if (container.memory !== undefined && container.memoryReservation !== undefined && container.memory <= container.memoryReservation) {
    throw clientError(`Invalid setting for container '${container.name}'. 'memory' must be greater than 'memoryReservation'.`);
  }
  range("startTimeout", container.startTimeout, 2, 120);
  range("stopTimeout", container.stopTimeout, 2, 120);
  for (const limit of container.ulimits ?? []) {
    const [soft, hard] = [limit.softLimit ?? 0, limit.hardLimit ?? 0].map(unlessUnlimited) as [number, number];
    if (soft > hard) throw clientError(`Ulimit ${limit.name}: the soft limit must not exceed the hard limit.`);
    if (limit.name === "nofile") range("ulimits.nofile", limit.hardLimit, 0, 1_048_576);
  }
  for (const variable of container.environment ?? []) {
    if (!variable.name) throw clientError("Environment variable name should not be null or empty.");
  }
}

/** -1 is Docker's word for no limit. */
function unlessUnlimited(value: number): number {
  return value < 0 ? Infinity : value;
}

function readPort(port: PortMapping): PortMapping {
  if (port.containerPort === undefined || port.containerPort < 1 || port.containerPort > 65_535) {
    throw clientError(`Invalid 'containerPort' setting for container: ${port.containerPort}`);
  }
  if (port.hostPort !== undefined && port.hostPort !== 0 && port.hostPort !== port.containerPort) {
    throw clientError("When networkMode=awsvpc, the host ports and container ports in port mappings must match.");
  }
  if (port.name !== undefined && !/^[a-z0-9_][a-z0-9_-]{0,63}$/.test(port.name)) throw clientError(`Invalid port mapping name: ${port.name}`);
  if (port.appProtocol !== undefined && port.name === undefined) throw clientError("portMapping.name must be set when appProtocol is.");
  return { ...port, hostPort: port.containerPort, protocol: port.protocol ?? "tcp" };
}

function readHealthCheck(check: HealthCheck | undefined): HealthCheck | undefined {
  if (check === undefined) return undefined;
  const [kind, ...words] = check.command ?? [];
  if (kind === undefined) throw clientError("Container health check must have a command.");
  if ((kind === "CMD" || kind === "CMD-SHELL") && words.length === 0) throw clientError("Container health check command should not be empty.");
  range("healthCheck.interval", check.interval, 5, 300);
  range("healthCheck.timeout", check.timeout, 2, 60);
  range("healthCheck.retries", check.retries, 1, 10);
  range("healthCheck.startPeriod", check.startPeriod, 0, 300);
  return { ...check, interval: check.interval ?? 30, timeout: check.timeout ?? 5, retries: check.retries ?? 3 };
}

function checkLinuxParameters(parameters: LinuxParameters | undefined): void {
  if (parameters === undefined) return;
  if (parameters.maxSwap !== undefined) throw refuse("maxSwap");
  if (parameters.swappiness !== undefined) throw refuse("swappiness");
  if ((parameters.devices ?? []).length > 0) throw refuse("devices");
  if (parameters.sharedMemorySize !== undefined) throw refuse("sharedMemorySize");
  if ((parameters.tmpfs ?? []).length > 0) throw refuse("tmpfs");
  const added = (parameters.capabilities?.add ?? []).filter((capability) => capability !== "SYS_PTRACE");
  if (added.length > 0)
    throw clientError(`Fargate compatible task definitions do not support adding capabilities ${added.join(", ")}; only SYS_PTRACE can be added`);
}

function checkMounts(container: ContainerDefinition, volumes: ReadonlySet<string>): void {
  for (const mount of container.mountPoints ?? []) {
    if (!volumes.has(mount.sourceVolume ?? "")) throw clientError(`Unknown volume '${mount.sourceVolume}'.`);
    if (!mount.containerPath?.startsWith("/")) throw clientError(`Mount of volume '${mount.sourceVolume}' needs an absolute containerPath.`);
  }
}

function checkRestartPolicy(container: ContainerDefinition): void {
  const policy = container.restartPolicy;
  if (policy === undefined) return;
  if ((policy.ignoredExitCodes ?? []).length > 50) throw clientError("restartPolicy.ignoredExitCodes should have at most 50 items.");
  range("restartPolicy.restartAttemptPeriod", policy.restartAttemptPeriod, 60, 1800);
}

const SYSTEM_CONTROL = /^(net\..+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\..+)$/;

function checkSystemControls(container: ContainerDefinition): void {
  for (const control of container.systemControls ?? []) {
    if (!SYSTEM_CONTROL.test(control.namespace ?? "")) throw clientError(`Invalid system control '${control.namespace}'.`);
    if (control.value === undefined) throw clientError(`System control '${control.namespace}' has no value.`);
  }
}

/** dependsOn and volumesFrom name other containers of the task, do not wait for an end of essential ones, and form no circle. */
export function checkDependencies(containers: readonly ContainerDefinition[]): void {
  const byName = new Map(containers.map((container) => [container.name ?? "", container]));
  for (const container of containers) {
    for (const from of container.volumesFrom ?? []) {
      if (!byName.has(from.sourceContainer ?? "") || from.sourceContainer === container.name) {
        throw clientError(`Container '${container.name}' takes volumes from unknown container '${from.sourceContainer}'.`);
      }
    }
    for (const dependency of container.dependsOn ?? []) {
      const other = byName.get(dependency.containerName ?? "");
      if (other === undefined) throw clientError(`Container '${container.name}' depends on unknown container '${dependency.containerName}'.`);
      if (dependency.condition === "HEALTHY" && other.healthCheck === undefined) {
        throw clientError(`Container '${container.name}' waits for '${other.name}' to be HEALTHY, which has no health check.`);
      }
      if ((dependency.condition === "COMPLETE" || dependency.condition === "SUCCESS") && other.essential === true) {
        throw clientError(`A dependency with condition ${dependency.condition} cannot be set on an essential container ('${other.name}').`);
      }
    }
  }
  const done = new Set<string>();
  for (const name of byName.keys()) visit(name, { byName, path: [], done });
}

interface Walk {
  readonly byName: ReadonlyMap<string, ContainerDefinition>;
  readonly path: readonly string[];
  readonly done: Set<string>;
}

function visit(name: string, walk: Walk): void {
  if (walk.done.has(name)) return;
  if (walk.path.includes(name)) throw clientError("Container dependencies form a cycle.");
  for (const dependency of walk.byName.get(name)?.dependsOn ?? []) visit(dependency.containerName ?? "", { ...walk, path: [...walk.path, name] });
  walk.done.add(name);
}
