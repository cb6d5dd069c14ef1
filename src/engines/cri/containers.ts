import { mkdir } from "node:fs/promises";
import { constants, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { DiskUsage, RuntimeContainer, RuntimeContainerSpec, Sandbox } from "../../contracts/container-runtime.ts";
import type { ContainerStats, ExecResult } from "../../contracts/engine.ts";
import type { Clock } from "../../core/clock.ts";
import { Problem } from "../../core/problem.ts";
import { usageOf } from "./cgroup.ts";
import { CGROUP_ANNOTATION, containerConfig, SANDBOX_ANNOTATION } from "./container-config.ts";
import { isDeadlineExceeded, isNotFound, problemOf, RpcError } from "./grpc.ts";
import type { ContainerdClient } from "./grpc.ts";
import { removingHalfMadeSnapshots } from "./half-made-snapshots.ts";
import type { ContainerStateName, ContainerStatsMessage, ContainerStatusMessage } from "./messages.ts";
import type { OomVerdicts } from "./oom.ts";
import { shimsOf } from "./orphans.ts";
import type { OutputRests } from "./output-rest.ts";
import { ignoringNotFound, nanosToMs } from "./sandboxes.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { endingStrayTasks } from "./stray-tasks.ts";
import type { Ulimits } from "./ulimits.ts";
import { patchRlimits } from "./ulimits.ts";

/** Of a start after a containerd that was killed in the middle of one: its task or its shim's folder is there, or its pipes or its snapshot are not. */
const CUT_OFF =
  /task \w+: already exists|failed to start shim: mkdir \S+: file exists|failed to start io pipe copy|failed to mount rootfs component .*: no such file/;
/** What containerd says of a container whose shim is gone; a program may end with it too. */
const UNKNOWN_EXIT_CODE = 255;
const SIGKILLED = 128 + constants.signals.SIGKILL;
const NOT_REMOVED_YET = /still running, to stop first|is in starting state, can't be removed|is already in removing state/;
const NAME_RESERVED = /is reserved for/;
const RESERVED_WAIT_MS = 15_000;
const STARTING_WAIT_MS = 30_000;
/** How long CRI may take to hear that a container has ended which it killed itself. */
const ENDING_WAIT_MS = 10_000;
const LAYER_USAGE_WAIT_MS = 10_000;
/** How long after a container's end containerd may still tell that the kernel killed it for memory: it hears of both by different ways. */
const OOM_NOTICE_MS = 2_000;
/** Beyond its grace period, for a stop to be over after SIGKILL. */
const STOP_SLACK_MS = 60_000;

export interface ContainersOptions {
  readonly client: ContainerdClient;
  readonly clock: Clock;
  readonly sandboxes: Sandboxes;
  readonly ulimits: Ulimits;
  readonly oom: OomVerdicts;
  /** Left out for a containerd that leaves none. */
  readonly rests?: OutputRests;
  readonly apparmor: boolean;
  /** containerd's root folder. */
  readonly root: string;
  /** containerd's. */
  readonly socket: string;
}

/** The containers of one containerd. */
export class Containers {
  readonly #options: ContainersOptions;
  readonly #client: ContainerdClient;
  readonly #clock: Clock;
  /** What does not change any more: containers that run, and how those that ended did. */
  readonly #settled = new Map<string, ContainerStatusMessage>();
  readonly #placement = new Map<string, { readonly sandboxId: string; readonly cgroup: string }>();
  /** Those that somebody asked us to end: an exit code of 137 may be our own SIGKILL. */
  readonly #stopping = new Set<string>();
  /** Of those that ended with a code that nobody may know: whether their sandbox's shim was gone when that was seen. */
  readonly #watcherLost = new Map<string, boolean>();

  constructor(options: ContainersOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#clock = options.clock;
  }

  /** As `ContainerRuntime.createContainer`: idempotent by sandbox, name and attempt. */
  async create(sandbox: Sandbox, spec: RuntimeContainerSpec): Promise<string> {
    const sandboxConfig = await this.#options.sandboxes.configOf(sandbox.id);
    const config = containerConfig(spec, sandbox.id, sandboxConfig, { apparmor: this.#options.apparmor });
    const rlimits = spec.ulimits.length === 0 ? undefined : this.#options.ulimits.rlimits(spec.ulimits);
    if (sandboxConfig.logDirectory !== "") await mkdir(dirname(join(sandboxConfig.logDirectory, spec.logPath)), { recursive: true });
    const id = await this.#createOrFind(sandbox.id, spec, () => this.#client.createContainer({ podSandboxId: sandbox.id, config, sandboxConfig }));
    if (rlimits !== undefined) await patchRlimits(this.#client, id, rlimits).catch((error: unknown) => this.#undo(id, spec, error));
    this.#place(id, sandbox.id, sandboxConfig.linux.cgroupParent);
    if (spec.logPath !== "") await this.#options.rests?.hold(id, join(sandboxConfig.logDirectory, spec.logPath));
    return id;
  }

  async start(id: string): Promise<void> {
    try {
      await this.#client.startContainer({ containerId: id });
    } catch (error) {
      if (error instanceof RpcError && /is in CONTAINER_|already in starting state/.test(error.message)) return await this.#waitStarted(id);
      if (error instanceof RpcError && CUT_OFF.test(error.message)) {
        throw new Problem("unavailable", `the start of container ${id} was cut off: it has to be created again`, { cause: error });
      }
      throw startProblem(id, error);
    }
  }

  async stop(id: string, options: { readonly graceSeconds: number; readonly signal?: string }): Promise<void> {
    this.#stopping.add(id);
    let graceSeconds = Math.max(0, Math.ceil(options.graceSeconds));
    if (options.signal !== undefined && graceSeconds > 0) {
      await this.#signalAndWait(id, signalNumber(options.signal), graceSeconds * 1000);
      graceSeconds = 0;
    }
    await ignoringNotFound(
      this.#client.stopContainer({ containerId: id, timeout: graceSeconds }, { deadlineMs: graceSeconds * 1000 + STOP_SLACK_MS }),
      `cannot stop container ${id}`,
    );
    await this.#untilEnded(id);
  }

  /** A process that ended just before CRI was asked is gone for containerd, and running for CRI until it hears of it. */
  async #untilEnded(id: string): Promise<void> {
    const deadlineMs = this.#clock.steadyMs() + ENDING_WAIT_MS;
    while ((await this.#freshStatus(id))?.state === "CONTAINER_RUNNING" && this.#clock.steadyMs() < deadlineMs) await this.#clock.sleep(20);
  }

  async remove(id: string): Promise<void> {
    const removal = endingStrayTasks(this.#client, () => this.#removeOnceStopped(id));
    await ignoringNotFound(removal, `cannot remove container ${id}`);
    await this.#options.rests?.save(id, { isLetGo: true });
    this.#forget(id);
  }

  /** CRI kills what still runs, and may then refuse to remove it because it has not heard of its end yet; what is just being started it does not kill. */
  async #removeOnceStopped(id: string): Promise<void> {
    const deadlineMs = this.#clock.steadyMs() + STARTING_WAIT_MS;
    for (;;) {
      try {
        await this.#client.removeContainer({ containerId: id });
        return;
      } catch (error) {
        if (!(error instanceof RpcError && NOT_REMOVED_YET.test(error.message)) || this.#clock.steadyMs() > deadlineMs) throw error;
        await this.#clock.sleep(50);
      }
    }
  }

  async list(): Promise<readonly RuntimeContainer[]> {
    const { containers } = await this.#client.listContainers({});
    for (const item of containers) this.#place(item.id, item.podSandboxId, item.annotations[CGROUP_ANNOTATION] ?? "");
    const listed = new Set(containers.map((item) => item.id));
    for (const id of this.#placement.keys()) if (!listed.has(id)) this.#forget(id);
    const found = await Promise.all(containers.map(async (item) => this.#shown(await this.#statusOf(item.id, item.state))));
    return found.flatMap((container) => container ?? []);
  }

  async inspect(id: string): Promise<RuntimeContainer | undefined> {
    return await this.#shown(await this.#freshStatus(id));
  }

  /** An event told that a container's process has ended. */
  async noteExit(id: string): Promise<void> {
    await this.#options.rests?.save(id, { isLetGo: false });
  }

  /** The ids of the images that containers are made of. */
  async imagesInUse(): Promise<ReadonlySet<string>> {
    const { containers } = await this.#client.listContainers({});
    return new Set(containers.map((item) => item.imageRef));
  }

  /** Absolute in each hierarchy; `undefined` for a container that is not known. */
  cgroupOf(id: string): string | undefined {
    return this.#placement.get(id)?.cgroup;
  }

  sandboxOf(id: string): string | undefined {
    return this.#placement.get(id)?.sandboxId;
  }

  async execSync(id: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    try {
      const answer = await this.#client.execSync(
        { containerId: id, cmd: request.command, timeout: Math.ceil(request.timeoutMs / 1000) },
        { deadlineMs: request.timeoutMs },
      );
      return { exitCode: answer.exitCode, stdout: answer.stdout.toString("utf8"), stderr: answer.stderr.toString("utf8") };
    } catch (error) {
      return execFailure(id, request, error);
    }
  }

  async stats(id: string): Promise<ContainerStats | undefined> {
    const cgroup = this.cgroupOf(id) ?? (await this.#lookUpCgroup(id));
    return cgroup === undefined ? undefined : this.groupStats(cgroup);
  }

  groupStats(cgroup: string): ContainerStats | undefined {
    const usage = usageOf(cgroup);
    if (usage === undefined) return undefined;
    return { atMs: this.#clock.nowMs(), ...usage, memoryLimitBytes: usage.memoryLimitBytes ?? totalmem() };
  }

  /** As `ContainerRuntime.layerUsage`: from what containerd measures of its snapshots every ten seconds anyway. */
  async layerUsage(): Promise<ReadonlyMap<string, DiskUsage>> {
    const { stats } = await this.#client.listContainerStats({}, { deadlineMs: LAYER_USAGE_WAIT_MS }).catch((error: unknown) => {
      throw problemOf(error, "cannot measure the containers' layers");
    });
    const usageOf = (each: ContainerStatsMessage): DiskUsage => ({
      bytes: Number(each.writableLayer?.usedBytes?.value ?? 0),
      inodes: Number(each.writableLayer?.inodesUsed?.value ?? 0),
    });
    return new Map(stats.map((each) => [each.attributes?.id ?? "", usageOf(each)]));
  }

  async #createOrFind(sandboxId: string, spec: RuntimeContainerSpec, create: () => Promise<{ containerId: string }>): Promise<string> {
    const deadlineMs = this.#clock.steadyMs() + RESERVED_WAIT_MS;
    for (;;) {
      try {
        return (await removingHalfMadeSnapshots(this.#options.root, create)).containerId;
      } catch (error) {
        if (!(error instanceof RpcError) || !NAME_RESERVED.test(error.message)) throw createProblem(spec, error);
        const { containers } = await this.#client.listContainers({ filter: { podSandboxId: sandboxId } });
        const existing = containers.find((item) => item.metadata?.name === spec.name && item.metadata.attempt === spec.attempt);
        const status = existing === undefined ? undefined : await this.#statusOf(existing.id, existing.state);
        if (existing !== undefined && status !== undefined && !wasCutOff(status)) return existing.id;
        if (existing !== undefined) await this.remove(existing.id);
        if (this.#clock.steadyMs() > deadlineMs) throw createProblem(spec, error);
        await this.#clock.sleep(50);
      }
    }
  }

  /** A container without the rlimits it was to have must not be found by the next try. */
  async #undo(id: string, spec: RuntimeContainerSpec, error: unknown): Promise<never> {
    await this.#client.removeContainer({ containerId: id }).catch(() => {});
    throw problemOf(error, `cannot set the ulimits of container ${spec.name}`);
  }

  async #waitStarted(id: string): Promise<void> {
    const deadlineMs = this.#clock.steadyMs() + STARTING_WAIT_MS;
    for (;;) {
      const status = await this.#freshStatus(id);
      if (status === undefined) throw new Problem("not-found", `container ${id} does not exist`);
      if (wasCutOff(status)) throw new Problem("unavailable", `the start of container ${id} was cut off: it has to be created again`);
      if (status.state === "CONTAINER_RUNNING" || nanosToMs(status.startedAt) > 0) return;
      if (status.state === "CONTAINER_EXITED")
        throw new Problem("invalid", `container ${id} could not be started: ${status.message || status.reason}`);
      if (this.#clock.steadyMs() > deadlineMs)
        throw new Problem("unavailable", `container ${id} is being started by another call and does not come up`);
      await this.#clock.sleep(50);
    }
  }

  async #signalAndWait(id: string, signal: number, graceMs: number): Promise<void> {
    try {
      await this.#client.killTask({ containerId: id, signal, all: false });
      await this.#client.waitTask({ containerId: id }, { deadlineMs: graceMs });
    } catch (error) {
      // Not running any more, or the grace period is over: what is left to do is the same.
      if (!isNotFound(error) && !isDeadlineExceeded(error)) throw problemOf(error, `cannot send signal ${signal} to container ${id}`);
    }
  }

  async #statusOf(id: string, state: ContainerStateName): Promise<ContainerStatusMessage | undefined> {
    const settled = this.#settled.get(id);
    return settled?.state === state ? settled : await this.#freshStatus(id);
  }

  async #freshStatus(id: string): Promise<ContainerStatusMessage | undefined> {
    try {
      const { status } = await this.#client.containerStatus({ containerId: id });
      if (status.state === "CONTAINER_RUNNING" || status.state === "CONTAINER_EXITED") this.#settled.set(id, status);
      this.#place(id, status.annotations[SANDBOX_ANNOTATION] ?? "", status.annotations[CGROUP_ANNOTATION] ?? "");
      return status;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw problemOf(error, `cannot look at container ${id}`);
    }
  }

  async #lookUpCgroup(id: string): Promise<string | undefined> {
    await this.#freshStatus(id);
    return this.cgroupOf(id);
  }

  #place(id: string, sandboxId: string, cgroupParent: string): void {
    if (!this.#placement.has(id)) this.#placement.set(id, { sandboxId, cgroup: `${cgroupParent}/${id}` });
  }

  #forget(id: string): void {
    this.#placement.delete(id);
    this.#settled.delete(id);
    this.#stopping.delete(id);
    this.#watcherLost.delete(id);
    this.#options.oom.forget(id);
  }

  async #shown(seen: ContainerStatusMessage | undefined): Promise<RuntimeContainer | undefined> {
    const status = seen === undefined ? undefined : await this.#onceKnownWhy(seen);
    if (status === undefined || wasCutOff(status)) return undefined;
    const sandboxId = status.annotations[SANDBOX_ANNOTATION] ?? "";
    // Whoever sees that it has ended finds its log whole.
    if (status.state === "CONTAINER_EXITED") await this.#options.rests?.save(status.id, { isLetGo: true });
    else if (status.logPath !== "") await this.#options.rests?.hold(status.id, status.logPath);
    if (status.state === "CONTAINER_EXITED" && status.exitCode === UNKNOWN_EXIT_CODE && !this.#watcherLost.has(status.id)) {
      const shims = await shimsOf(this.#options.socket);
      this.#watcherLost.set(status.id, !shims.some(({ id }) => id === sandboxId));
    }
    return this.#view(status);
  }

  /** Of a SIGKILL that nobody here sent, and whose cgroup was gone before it could be read: CRI's word, which may come after the end. */
  async #onceKnownWhy(seen: ContainerStatusMessage): Promise<ContainerStatusMessage | undefined> {
    let status: ContainerStatusMessage | undefined = seen;
    const deadlineMs = this.#clock.steadyMs() + OOM_NOTICE_MS;
    while (status !== undefined && this.#mayHearOfMemory(status) && this.#clock.steadyMs() < deadlineMs) {
      await this.#clock.sleep(50);
      status = await this.#freshStatus(status.id);
    }
    return status;
  }

  #mayHearOfMemory(status: ContainerStatusMessage): boolean {
    if (status.state !== "CONTAINER_EXITED" || status.exitCode !== SIGKILLED || status.reason === "OOMKilled") return false;
    if (this.#stopping.has(status.id) || this.#options.oom.of(status.id) !== undefined) return false;
    return Math.abs(this.#clock.nowMs() - nanosToMs(status.finishedAt)) < OOM_NOTICE_MS;
  }

  #view(status: ContainerStatusMessage): RuntimeContainer {
    const exited = status.state === "CONTAINER_EXITED";
    const startedAtMs = nanosToMs(status.startedAt);
    const reason = [status.reason, status.message].filter(Boolean).join(": ");
    return {
      id: status.id,
      sandboxId: status.annotations[SANDBOX_ANNOTATION] ?? this.sandboxOf(status.id) ?? "",
      name: status.metadata?.name ?? "",
      attempt: status.metadata?.attempt ?? 0,
      state: STATES[status.state],
      labels: status.labels,
      oomKilled: exited && this.#wasOomKilled(status),
      ...(exited && this.#watcherLost.get(status.id) === true && { watcherLost: true as const }),
      createdAtMs: nanosToMs(status.createdAt),
      ...(exited ? { exitCode: status.exitCode, finishedAtMs: nanosToMs(status.finishedAt) } : {}),
      ...(exited && reason !== "" ? { reason } : {}),
      ...(startedAtMs > 0 ? { startedAtMs } : {}),
    };
  }

  #wasOomKilled(status: ContainerStatusMessage): boolean {
    if (status.exitCode !== SIGKILLED) return false;
    return this.#options.oom.of(status.id) ?? (status.reason === "OOMKilled" && !this.#stopping.has(status.id));
  }
}

const STATES: Readonly<Record<ContainerStateName, RuntimeContainer["state"]>> = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
  CONTAINER_UNKNOWN: "unknown",
};

/**
 * containerd takes a start back when its caller goes away, as on a SIGKILL of Tidegate, and leaves a container that counts as failed to start.
 * Nothing ran: it is treated as not there, and made anew when it is asked for again. So is one whose start was cut off by the end of containerd
 * itself: of it a task is left that CRI does not know, or CRI knows nothing at all.
 */
function wasCutOff(status: ContainerStatusMessage): boolean {
  if (nanosToMs(status.startedAt) > 0) return false;
  if (status.state === "CONTAINER_UNKNOWN") return true;
  if (status.state !== "CONTAINER_EXITED") return false;
  // It ended without a start that CRI knew of.
  if (status.reason !== "StartError") return true;
  return CUT_OFF.test(status.message) || /context canceled|context deadline exceeded|signal: killed|exit status 137/.test(status.message);
}

/** `SIGTERM`, `term`, `15`, `SIGRTMIN+3`. @throws Problem `invalid`. */
export function signalNumber(signal: string): number {
  const name = signal.toUpperCase().replace(/^(SIG)?/, "SIG");
  const realTime = /^SIGRTMIN(?:\+(\d+))?$/.exec(name);
  const number = /^\d+$/.test(signal) ? Number(signal) : realTime ? 34 + Number(realTime[1] ?? 0) : constants.signals[name as NodeJS.Signals];
  if (number === undefined || number < 1 || number > 64) throw new Problem("invalid", `there is no signal ${JSON.stringify(signal)}`);
  return number;
}

function createProblem(spec: RuntimeContainerSpec, error: unknown): Problem {
  const doing = `cannot create container ${spec.name}`;
  const user = spec.user ?? spec.image.user ?? "";
  if (error instanceof RpcError && /no users found|no groups found|no matching entries/.test(error.message)) {
    return new Problem("invalid", `${doing}: unable to find user ${user}: no matching entries in the image's passwd or group file`, { cause: error });
  }
  return problemOf(error, doing, "invalid");
}

function startProblem(id: string, error: unknown): Problem {
  // From "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: …: unknown".
  const words = error instanceof Error ? error.message.replace(/^.*(?=OCI runtime create failed)/, "").replace(/: unknown$/, "") : String(error);
  if (error instanceof RpcError && /is not running/.test(error.message))
    return new Problem("conflict", `cannot start container ${id}: ${words}`, { cause: error });
  const problem = problemOf(error, `cannot start container ${id}`, "invalid");
  return new Problem(problem.kind, `cannot start container ${id}: ${words}`, { cause: error });
}

/** A command that cannot be run at all ends as in a shell: 127 when it is not there, 126 when it is no program. */
function execFailure(id: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }, error: unknown): ExecResult {
  const what = `command ${JSON.stringify(request.command)} in container ${id}`;
  if (isDeadlineExceeded(error) || (error instanceof RpcError && /timeout .* exceeded/.test(error.message))) {
    throw new Problem("unavailable", `${what} did not end within ${request.timeoutMs} ms and was killed`, { cause: error });
  }
  if (error instanceof RpcError) {
    const stderr = error.message.replace(/^.*(?=OCI runtime exec failed)/, "");
    if (/executable file not found|no such file or directory/.test(stderr)) return { exitCode: 127, stdout: "", stderr };
    if (/permission denied|exec format error|is a directory/.test(stderr)) return { exitCode: 126, stdout: "", stderr };
    if (/is in CONTAINER_/.test(error.message)) throw new Problem("conflict", `cannot run ${what}: the container does not run`, { cause: error });
  }
  throw problemOf(error, `cannot run ${what}`);
}
