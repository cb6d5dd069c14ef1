import type { ImageInfo, RuntimeContainer, RuntimeContainerSpec, RuntimeMount, Sandbox } from "../contracts/container-runtime.ts";
import type { LogCollector, LogSource } from "../contracts/log-store.ts";
import type { ContainerSpec, LogShipping, LogSink } from "../contracts/workload.ts";
import { isProblem, messageOf, Problem } from "../core/problem.ts";
import type { ComputeContext } from "./compute-context.ts";
import { environmentOf, HOST_CA_PATH } from "./environment.ts";
import { runAction } from "./probe-action.ts";
import { prepareMessage } from "./termination-message.ts";
import { producerContext, ATTACHMENT_OWNER } from "./provision.ts";
import { pullFor } from "./pull-images.ts";
import { LABELS } from "./records.ts";
import type { Unit } from "./session.ts";

const INIT_PATH = "/dev/init";
const HOOK_TIMEOUT_MS = 60_000;
/** Tries of a runtime that cannot be reached before the container counts as failed. */
const RUNTIME_TRIES_MS = [200, 1000, 5000, 10_000];
/** Of a container without CPU units of its own, as Docker on ECS gives it. */
const MINIMUM_CPU_SHARES = 2;

type Step = "config" | "prepare" | "create" | "start";
type Fail = (step: Step, error: unknown) => void;
/** Of ECS. */
const ERROR_CLASSES: Readonly<Record<Step, string>> = {
  config: "CannotCreateContainerError",
  prepare: "ResourceInitializationError",
  create: "CannotCreateContainerError",
  start: "CannotStartContainerError",
};

/** Makes and starts an attempt of a container, following its log from the first byte. Notes a failure with ECS's words for the plan to judge. */
export async function runContainer(context: ComputeContext, unit: Unit, spec: ContainerSpec, attempt: number): Promise<void> {
  const { session } = unit;
  const fail: Fail = (step, error) => {
    const words = messageOf(error);
    session.startFailures.set(spec.name, {
      attempt,
      step: step === "prepare" ? "create" : step,
      words,
      text: `${ERROR_CLASSES[step]}: ${words}`,
      atMs: context.clock.nowMs(),
    });
  };
  session.startFailures.delete(spec.name);
  const sandbox = context.cache.sandboxNamed(unit.placement.sandboxName);
  if (sandbox === undefined) return;
  // A tag may stand for another image by now.
  const asksAgain = attempt > 0 && spec.pullPolicy === "always" && spec.imageDigest === undefined;
  const image = (asksAgain ? undefined : session.images.get(spec.name)) ?? (await pullFor(context, unit, spec, attempt));
  if (image === undefined) return;
  context.signal.throwIfAborted();
  try {
    checkUser(spec, image);
  } catch (error) {
    return fail("config", error);
  }
  const prepared = await attemptTo(fail, () => prepare(context, unit, { spec, attempt, image }));
  if (prepared === undefined) return;
  await context.limiter.run(() => launch(context, unit, { sandbox, prepared }, fail));
  await postStart(context, unit, { spec, attempt, sandbox });
  await retireOld(context, unit, { spec, attempt, sandbox });
}

interface Launch {
  readonly sandbox: Sandbox;
  readonly prepared: RuntimeContainerSpec;
}

/** Creates and starts. A runtime that cannot be reached is tried again from the creation on: a start that was cut off may have left nothing. */
async function launch(context: ComputeContext, unit: Unit, { sandbox, prepared }: Launch, fail: Fail): Promise<void> {
  const { runtime, signal, cache } = context;
  let doing: Step = "create";
  let id: string | undefined;
  try {
    await withRetries(context, async () => {
      signal.throwIfAborted();
      doing = "create";
      id = await runtime.createContainer(sandbox, prepared);
      unit.session.mark(`created ${prepared.name}`);
      signal.throwIfAborted();
      doing = "start";
      await runtime.startContainer(id);
    });
    unit.session.mark(`${prepared.attempt === 0 ? "started" : "restarted"} ${prepared.name}`);
    if (prepared.attempt === 0)
      for (const words of runtime.ulimitShortfalls?.(prepared.ulimits) ?? []) unit.session.mark(`${prepared.name}: ${words}`);
  } catch (error) {
    if (!(error instanceof Problem) || signal.aborted) throw error;
    fail(doing, error);
  }
  if (id === undefined) return;
  await cache.refreshContainer(id);
  // One that was cut off in its start was removed to make room for this one.
  const same = cache.containersOf(sandbox.id).filter((each) => each.name === prepared.name && each.attempt === prepared.attempt);
  for (const replaced of same) if (replaced.id !== id) await cache.refreshContainer(replaced.id);
}

/** Runs an effect; a failure is noted, and answers `undefined`. */
async function attemptTo<T>(fail: Fail, effect: () => Promise<T>): Promise<T | undefined> {
  try {
    return await effect();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    fail("prepare", error);
    return undefined;
  }
}

async function withRetries<T>({ clock, signal }: ComputeContext, effect: () => Promise<T>): Promise<T> {
  for (const delayMs of RUNTIME_TRIES_MS) {
    try {
      return await effect();
    } catch (error) {
      if (!isProblem(error, "unavailable")) throw error;
      await clock.sleep(delayMs, signal);
    }
  }
  return effect();
}

interface Attempt {
  readonly spec: ContainerSpec;
  readonly attempt: number;
}

async function prepare(
  context: ComputeContext,
  unit: Unit,
  { spec, attempt, image }: Attempt & { readonly image: ImageInfo },
): Promise<RuntimeContainerSpec> {
  const { folders, config } = context;
  const { workload } = unit.record;
  const { network } = unit.session;
  if (network === undefined) throw new Problem("unavailable", "the workload has no address yet");
  const messagePath = spec.terminationMessagePath === undefined ? undefined : folders.messagePath(workload.id, spec.name, attempt);
  if (messagePath !== undefined) await prepareMessage(messagePath);
  // ECS starts nothing whose lines have nowhere to go; Kubernetes does.
  const follow = spec.log.type === "file" ? followIfWanted : followLog;
  await Promise.all([folders.prepareLogs(unit.placement.sandboxName, spec.name), follow(context, unit, { spec, attempt })]);
  const producers = await producerContext(context, unit, { network, container: spec.name });
  const groups = [...(spec.supplementalGroups ?? []), ...(workload.fsGroup === undefined ? [] : [workload.fsGroup])];
  return {
    name: spec.name,
    attempt,
    image,
    ...commandOf(spec, image),
    workingDirectory: spec.workingDirectory,
    environment: environmentOf(spec, producers, { hostCa: context.hostCaPath !== undefined }),
    mounts: [...(await folders.mountsOf(workload, spec)), ...ownMounts(context, spec), ...messageMount(spec, messagePath)],
    user: spec.user,
    supplementalGroups: groups,
    addCapabilities: spec.addCapabilities,
    dropCapabilities: spec.dropCapabilities,
    readOnlyRootFilesystem: spec.readOnlyRootFilesystem,
    noNewPrivileges: spec.noNewPrivileges ?? false,
    cpuShares: Math.max(MINIMUM_CPU_SHARES, spec.cpuUnits),
    cpuLimitUnits: spec.cpuLimitUnits,
    memoryLimitBytes: spec.memoryMiB === undefined ? undefined : spec.memoryMiB * 1024 * 1024,
    ulimits: spec.ulimits,
    tty: spec.tty,
    stdin: spec.stdin,
    stdinOnce: spec.stdinOnce,
    processesOf: spec.processesOf === undefined ? undefined : runningContainer(context, unit, spec.processesOf),
    // Where nobody reads it, there is no file that could grow.
    logPath: spec.log.type === "none" ? "" : `${spec.name}/${attempt}.log`,
    labels: { ...spec.labels, [LABELS.instance]: config.instanceId, [LABELS.workload]: workload.id, [LABELS.container]: spec.name },
  };
}

/** @throws Problem `conflict` when it does not run. */
function runningContainer({ cache }: ComputeContext, { placement }: Unit, name: string): string {
  const sandbox = cache.sandboxNamed(placement.sandboxName);
  const running = sandbox === undefined ? [] : cache.containersOf(sandbox.id).filter((each) => each.name === name && each.state === "running");
  if (running[0] === undefined) throw new Problem("conflict", `container ${name}, whose processes it is to see, does not run`);
  return running[0].id;
}

function ownMounts({ hostCaPath, initProgram }: ComputeContext, spec: ContainerSpec): readonly RuntimeMount[] {
  const ca = hostCaPath === undefined ? [] : [{ hostPath: hostCaPath, containerPath: HOST_CA_PATH, readOnly: true }];
  const init = spec.initProcess ? [{ hostPath: initProgram, containerPath: INIT_PATH, readOnly: true }] : [];
  return [...ca, ...init];
}

function messageMount({ terminationMessagePath: containerPath }: ContainerSpec, hostPath: string | undefined): readonly RuntimeMount[] {
  return hostPath === undefined || containerPath === undefined ? [] : [{ hostPath, containerPath, readOnly: false }];
}

/** @throws Problem `invalid` in the kubelet's words for a container that would, or might, run as root and must not. */
function checkUser({ name, user = "", mustNotBeRoot }: ContainerSpec, image: ImageInfo): void {
  if (mustNotBeRoot !== true) return;
  const [own = ""] = (user || (image.user ?? "")).split(":");
  if (/^0+$/.test(own) && user !== "") throw new Problem("invalid", `container's runAsUser breaks non-root policy (container: ${name})`);
  if (own === "" || own === "root" || /^0+$/.test(own))
    throw new Problem("invalid", `container has runAsNonRoot and image will run as root (container: ${name})`);
  if (!/^\d+$/.test(own))
    throw new Problem(
      "invalid",
      `container has runAsNonRoot and image has non-numeric user (${own}), cannot verify user is non-root (container: ${name})`,
    );
}

/** Docker's rule: an ENTRYPOINT of one's own drops the image's CMD. With an init process, that comes in front of both. */
function commandOf(spec: ContainerSpec, image: ImageInfo): Pick<RuntimeContainerSpec, "entryPoint" | "command"> {
  if (!spec.initProcess) return { entryPoint: spec.entryPoint, command: spec.command };
  const entryPoint = spec.entryPoint ?? image.entryPoint;
  const command = spec.command ?? (spec.entryPoint === undefined ? image.command : []);
  if (entryPoint === undefined || command === undefined) {
    throw new Problem(
      "unsupported",
      `initProcessEnabled needs the entryPoint and command of container ${spec.name} in the task definition: the runtime does not tell those of image ${spec.image}`,
    );
  }
  if (entryPoint.length + command.length === 0)
    throw new Problem("invalid", `neither image ${spec.image} nor container ${spec.name} says what to run`);
  return { entryPoint: [INIT_PATH, "--", ...entryPoint], command };
}

/** The id of the log of one attempt, for ever. */
export function logSourceId(workloadId: string, container: string, attempt: number): string {
  return `${workloadId}/${container}/${attempt}`;
}

/** The running container that writes the log of this source; `undefined` when there is none. */
export function writerOf(sourceId: string, containers: readonly RuntimeContainer[]): string | undefined {
  const writes = ({ labels, name, attempt, state }: RuntimeContainer): boolean =>
    state === "running" && logSourceId(labels[LABELS.workload] ?? "", name, attempt) === sourceId;
  return containers.find(writes)?.id;
}

/** Has the log of an attempt followed into its stream; its group is the owner's to make. Idempotent. @throws Problem with the words of ECS. */
export async function followLog({ logs, folders }: ComputeContext, unit: Unit, { spec, attempt }: Attempt): Promise<void> {
  const { log } = spec;
  const file = {
    id: logSourceId(unit.record.workload.id, spec.name, attempt),
    path: folders.logPath(unit.placement.sandboxName, spec.name, attempt),
  };
  if (log.type === "file" && log.ship !== undefined)
    return ship(logs, file, { ...log.ship, containerId: unit.placement.runtimeIds[spec.name] ?? "" });
  if (log.type !== "awslogs") return;
  const source: LogSource = {
    ...file,
    scope: { account: log.account, region: log.region, group: log.group },
    stream: log.stream,
    ...(log.stdoutStream !== undefined && { stdoutStream: log.stdoutStream }),
    ...(log.dropsStderr === true && { dropsStderr: true }),
    // Whoever owns another workload makes it, with the rights of its role.
    ...(unit.record.workload.system && log.createGroup && { createsGroup: true }),
  };
  try {
    await logs.follow(source);
  } catch (cause) {
    if (!isProblem(cause, "not-found")) throw cause;
    const words = `failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : ${log.group}`;
    throw new Problem(
      "not-found",
      `failed to validate logger args: The task cannot find the Amazon CloudWatch log group defined in the task definition. : ${words}`,
      { cause },
    );
  }
}

async function ship(
  logs: LogCollector,
  file: Pick<LogSource, "id" | "path">,
  { account, region, group, stream, createGroup, retentionDays, format, containerId }: LogShipping & { readonly containerId: string },
): Promise<void> {
  await logs.follow({
    ...file,
    scope: { account, region, group },
    stream: stream.replace("{containerId}", containerId),
    isObserved: true,
    createsGroup: createGroup,
    format,
    ...(retentionDays !== undefined && { retentionDays }),
  });
}

/** Whether a collector reads it. */
export function isFollowed(log: LogSink): boolean {
  return log.type === "awslogs" || (log.type === "file" && log.ship !== undefined);
}

/** As `followLog`, of what runs or has run: where its group was deleted, its words are dropped. */
export async function followIfWanted(context: ComputeContext, unit: Unit, attempt: Attempt): Promise<void> {
  try {
    await followLog(context, unit, attempt);
  } catch (error) {
    if (!isProblem(error, "not-found")) throw error;
    context.logger.warn("the log lines of a container have nowhere to go", { taskId: unit.session.id, container: attempt.spec.name, err: error });
  }
}

/** Stores the rest of an attempt's log. What a collector that was restarted does not follow yet is followed first. */
export async function finishLog(context: ComputeContext, unit: Unit, attempt: Attempt): Promise<void> {
  if (!isFollowed(attempt.spec.log)) return;
  await followIfWanted(context, unit, attempt);
  await context.logs.finish(logSourceId(unit.record.workload.id, attempt.spec.name, attempt.attempt));
}

async function postStart(context: ComputeContext, unit: Unit, { spec, attempt, sandbox }: Attempt & { readonly sandbox: Sandbox }): Promise<void> {
  const action = spec.hooks?.postStart;
  const container = context.cache.containersOf(sandbox.id).find((each) => each.name === spec.name && each.attempt === attempt);
  if (action === undefined || container?.state !== "running") return;
  const target = { runtime: context.runtime, clock: context.clock, containerId: container.id, address: unit.session.network?.privateIpv4 ?? "" };
  const result = await runAction(action, target, HOOK_TIMEOUT_MS);
  if (!result.ok) unit.session.hookFailures.set(spec.name, { attempt, complaint: { about: "postStart", words: result.words, ends: true } });
}

/** Of a container that restarts, the attempt before is kept for its words; older ones go. */
async function retireOld(context: ComputeContext, unit: Unit, { spec, attempt, sandbox }: Attempt & { readonly sandbox: Sandbox }): Promise<void> {
  const old = context.cache
    .containersOf(sandbox.id)
    .filter((each) => each.name === spec.name && each.attempt < attempt - 1 && each.state === "exited");
  for (const container of old) {
    await finishLog(context, unit, { spec, attempt: container.attempt });
    await context.runtime.removeContainer(container.id);
    await context.folders.removeLog(unit.placement.sandboxName, spec.name, container.attempt);
    await context.cache.refreshContainer(container.id);
  }
}

/** The workload that an attachment's owner names; `undefined` when it is no workload's. */
export function workloadOfOwner(owner: string): string | undefined {
  return owner.startsWith(ATTACHMENT_OWNER) ? owner.slice(ATTACHMENT_OWNER.length) : undefined;
}
