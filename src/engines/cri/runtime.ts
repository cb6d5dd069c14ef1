import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type {
  ContainerRuntime,
  DiskUsage,
  GroupLimits,
  ImageInfo,
  PullRequest,
  RuntimeContainer,
  RuntimeContainerSpec,
  RuntimeEvent,
  RuntimeImage,
  RuntimeStreamRequest,
  Sandbox,
  SandboxSpec,
} from "../../contracts/container-runtime.ts";
import type { DaemonSupervisor } from "../../contracts/daemon.ts";
import type { ContainerStats, ExecResult, StreamEndpoint } from "../../contracts/engine.ts";
import type { Clock } from "../../core/clock.ts";
import type { InstanceConfig } from "../../core/config.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf } from "../../core/problem.ts";
import { DiskGuard } from "../../host/disk-guard.ts";
import { apparmorAvailable } from "./capabilities.ts";
import { countsProcesses, endGroup, groupsIn, refusedForks, removeGroup, setGroupLimits } from "./cgroup.ts";
import { removeLeftovers } from "./cleanup.ts";
import { containerdPaths } from "./containerd-config.ts";
import { startContainerd } from "./containerd-daemon.ts";
import type { RunningContainerd } from "./containerd-daemon.ts";
import { Containers } from "./containers.ts";
import { EventStream } from "./events.ts";
import type { TaskEvent } from "./events.ts";
import { ContainerdClient, problemOf } from "./grpc.ts";
import { Images } from "./images.ts";
import { LeftoverWatch } from "./leftover-watch.ts";
import { hasOpen } from "./open-files.ts";
import { writeOciArchive } from "./oci-archive.ts";
import { OomVerdicts } from "./oom.ts";
import { leavesRests, OutputRests } from "./output-rest.ts";
import { pauseImage } from "./pause-image.ts";
import { Sandboxes } from "./sandboxes.ts";
import { prepareStream } from "./streams.ts";
import { FARGATE_NOFILE, Ulimits } from "./ulimits.ts";
import type { Ulimit } from "../../contracts/workload.ts";

/** How long CRI may take to show what containerd's events told, before the event is passed on all the same. */
const SETTLE_MS = 5_000;

export interface CriRuntimeOptions {
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir" | "runDir">;
  readonly supervisor: DaemonSupervisor;
  readonly clock: Clock;
  readonly logger: Logger;
  /** On 127.0.0.1: serves the distribution API over plain HTTP for every registry host. */
  readonly registryPort: number;
  /** Of the disk that the data folder is on; left out, pulls may fill it. */
  readonly disk?: DiskGuard;
}

/** A container runtime on a private containerd, with what only this engine can do. */
export interface CriRuntime extends ContainerRuntime {
  inspectContainer(id: string): Promise<RuntimeContainer | undefined>;
  inspectSandbox(id: string): Promise<Sandbox | undefined>;
  /** Loads an OCI archive from a file, so that `reference` in it needs no registry. */
  importImage(tarPath: string, reference: string): Promise<ImageInfo>;
  listImages(): Promise<readonly RuntimeImage[]>;
  removeImage(id: string): Promise<boolean>;
  reopenContainerLog(id: string): Promise<void>;
  /** Whether containerd has this file open. */
  hasOpen(file: FileIdentity): boolean;
  /** For `down --all`: ends every container and containerd; with `purge` also removes images, files, mounts and cgroups. Then it is closed. */
  removeEverything(options: { readonly purge: boolean }): Promise<void>;
}

/** Starts or adopts the instance's containerd and connects to it. @throws Problem `unavailable` with what is missing and how to get it. */
export async function createCriRuntime(options: CriRuntimeOptions): Promise<CriRuntime> {
  const { config, supervisor, clock, registryPort } = options;
  const logger = options.logger.child({ room: "engines/cri" });
  const pause = await pauseImage();
  const ulimits = new Ulimits();
  const client = new ContainerdClient(containerdPaths(config).socket, clock);
  try {
    const defaultRlimits = ulimits.rlimits([]);
    const containerd = await startContainerd({ config, supervisor, logger, client, registryPort, pauseImage: pause.reference, defaultRlimits });
    const ctr = { program: containerd.ctr, socket: containerd.paths.socket, snapshotter: containerd.snapshotter };
    const disk = options.disk ?? new DiskGuard({ folder: config.dataDir, clock, reserveBytes: 0 });
    const images = new Images({ client, clock, ctr, disk, pauseImage: pause.reference, root: containerd.paths.root });
    const importFolder = join(config.dataDir, "pause-image");
    // Of an import that was killed.
    await rm(importFolder, { recursive: true, force: true });
    if (!(await images.has(pause.reference))) await importPause(images, importFolder, pause);
    const sandboxes = new Sandboxes(client, clock, containerd.paths);
    const oom = new OomVerdicts(join(config.runDir, "oom"));
    const { root, socket } = containerd.paths;
    const rests = await outputRests(options, { client, state: containerd.paths.state });
    const apparmor = apparmorAvailable();
    const containers = new Containers({ client, clock, sandboxes, ulimits, oom, apparmor, root, socket, ...(rests !== undefined && { rests }) });
    const runtime = new Runtime({ ...options, logger, client, containerd, images, sandboxes, containers, oom, ulimits, rests });
    for (const words of ulimits.shortfalls([FARGATE_NOFILE])) logger.warn(`containers get less than on Fargate: ${words}`);
    if (!countsProcesses()) logger.warn("this kernel does not count processes by cgroup: a task that forks without end is bound by nothing");
    await runtime.begin();
    return runtime;
  } catch (error) {
    client.close();
    throw error;
  }
}

interface Containerd {
  readonly client: ContainerdClient;
  readonly state: string;
}

async function outputRests(options: CriRuntimeOptions, { client, state }: Containerd): Promise<OutputRests | undefined> {
  const { runtimeVersion } = await client.version({ version: "v1" });
  if (!leavesRests(runtimeVersion)) return undefined;
  return new OutputRests({ ...options, state, hasOpen: (file) => containerdHasOpen(options.supervisor, file) });
}

interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

function containerdHasOpen(supervisor: DaemonSupervisor, file: FileIdentity): boolean {
  const containerd = supervisor.list().find((daemon) => daemon.name === "containerd");
  return containerd?.pid !== undefined && hasOpen(containerd.pid, file);
}

async function importPause(images: Images, folder: string, pause: Awaited<ReturnType<typeof pauseImage>>): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const path = join(folder, "pause.tar");
    await writeOciArchive(path, pause.archive());
    await images.import(path, pause.reference);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Parts extends CriRuntimeOptions {
  readonly client: ContainerdClient;
  readonly containerd: RunningContainerd;
  readonly images: Images;
  readonly sandboxes: Sandboxes;
  readonly containers: Containers;
  readonly oom: OomVerdicts;
  readonly ulimits: Ulimits;
  readonly rests: OutputRests | undefined;
}

class Runtime implements CriRuntime {
  readonly #parts: Parts;
  readonly #events: EventStream;
  readonly #listeners = new Set<(event: RuntimeEvent) => void>();
  readonly #leftovers: LeftoverWatch;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#leftovers = new LeftoverWatch({
      ...parts,
      paths: parts.containerd.paths,
      pid: () => parts.containerd.daemon.pid(),
      onEnded: () => this.#emit({ type: "resync" }),
    });
    this.#events = new EventStream({
      client: parts.client,
      clock: parts.clock,
      logger: parts.logger,
      onEvent: (event) => this.#onTaskEvent(event),
      onSubscribed: () => {
        parts.images.forget();
        this.#emit({ type: "resync" });
        this.#leftovers.containerdIsBack();
      },
    });
  }

  /** Events first, then the lists that tell which id is what, so that nothing falls between them. */
  async begin(): Promise<void> {
    await this.#events.open();
    await this.#parts.sandboxes.list();
    const containers = await this.#parts.containers.list();
    this.#parts.oom.retain(new Set(containers.map((container) => container.id)));
  }

  async fingerprint(): Promise<{ name: string; version: string; runtimeHandlers: readonly string[] }> {
    const version = await this.#parts.client.version({ version: "v1" });
    return { name: version.runtimeName, version: version.runtimeVersion, runtimeHandlers: this.#parts.containerd.runtimeHandlers };
  }

  pullImage(request: PullRequest): Promise<ImageInfo> {
    return this.#parts.images.pull(request);
  }
  importImage(tarPath: string, reference: string): Promise<ImageInfo> {
    return this.#parts.images.import(tarPath, reference);
  }
  async listImages(): Promise<readonly RuntimeImage[]> {
    return await this.#parts.images.list(await this.#parts.containers.imagesInUse());
  }
  removeImage(id: string): Promise<boolean> {
    return this.#parts.images.remove(id, () => this.#parts.containers.imagesInUse());
  }

  async createSandbox(spec: SandboxSpec): Promise<Sandbox> {
    try {
      return await this.#parts.sandboxes.create(spec);
    } catch (error) {
      this.#leftovers.sandboxWent();
      throw error;
    }
  }
  stopSandbox(id: string): Promise<void> {
    return this.#parts.sandboxes.stop(id);
  }
  async removeSandbox(id: string): Promise<void> {
    await this.#parts.sandboxes.remove(id);
    this.#leftovers.sandboxWent();
  }
  listSandboxes(): Promise<readonly Sandbox[]> {
    return this.#parts.sandboxes.list();
  }
  inspectSandbox(id: string): Promise<Sandbox | undefined> {
    return this.#parts.sandboxes.inspect(id);
  }

  createContainer(sandbox: Sandbox, spec: RuntimeContainerSpec): Promise<string> {
    return this.#parts.containers.create(sandbox, spec);
  }
  startContainer(id: string): Promise<void> {
    return this.#parts.containers.start(id);
  }
  stopContainer(id: string, options: { readonly graceSeconds: number; readonly signal?: string }): Promise<void> {
    return this.#parts.containers.stop(id, options);
  }
  removeContainer(id: string): Promise<void> {
    return this.#parts.containers.remove(id);
  }
  listContainers(): Promise<readonly RuntimeContainer[]> {
    return this.#parts.containers.list();
  }
  inspectContainer(id: string): Promise<RuntimeContainer | undefined> {
    return this.#parts.containers.inspect(id);
  }
  execSync(id: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    return this.#parts.containers.execSync(id, request);
  }
  stream(request: RuntimeStreamRequest): Promise<StreamEndpoint> {
    return prepareStream(this.#parts.client, request);
  }
  stats(id: string): Promise<ContainerStats | undefined> {
    return this.#parts.containers.stats(id);
  }
  layerUsage(): Promise<ReadonlyMap<string, DiskUsage>> {
    return this.#parts.containers.layerUsage();
  }
  ulimitShortfalls(ulimits: readonly Ulimit[]): readonly string[] {
    return this.#parts.ulimits.shortfalls(ulimits);
  }
  async reopenContainerLog(id: string): Promise<void> {
    await this.#parts.client.reopenContainerLog({ containerId: id }).catch((error: unknown) => {
      throw problemOf(error, `cannot reopen the log of container ${id}`);
    });
  }

  hasOpen(file: FileIdentity): boolean {
    return containerdHasOpen(this.#parts.supervisor, file);
  }

  async limitGroup(cgroupParent: string, limits: GroupLimits): Promise<void> {
    setGroupLimits(cgroupParent, limits);
  }
  async groupStats(cgroupParent: string): Promise<ContainerStats | undefined> {
    return this.#parts.containers.groupStats(cgroupParent);
  }
  async refusedForks(cgroupParent: string): Promise<number> {
    return refusedForks(cgroupParent);
  }
  async removeGroup(cgroupParent: string, options: { readonly endsProcesses?: boolean } = {}): Promise<void> {
    if (options.endsProcesses === true) await endGroup(cgroupParent, this.#parts.clock);
    else removeGroup(cgroupParent);
  }
  async listGroups(folder: string): Promise<readonly string[]> {
    return groupsIn(folder);
  }

  watch(listener: (event: RuntimeEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async close(): Promise<void> {
    this.#leftovers.close();
    this.#listeners.clear();
    this.#events.close();
    this.#parts.client.close();
    await this.#parts.rests?.close();
  }

  async removeEverything(options: { readonly purge: boolean }): Promise<void> {
    const { supervisor, config, containerd, clock } = this.#parts;
    await this.#removeSandboxes();
    await this.close();
    await supervisor.stop("containerd");
    if (options.purge) await removeLeftovers(config.instanceId, containerd.paths, clock);
  }

  /** Whatever goes wrong here is the business of `removeLeftovers`. */
  async #removeSandboxes(): Promise<void> {
    const { sandboxes, logger } = this.#parts;
    try {
      const all = await sandboxes.list();
      await Promise.all(
        all.map(async ({ id }) => {
          await sandboxes.stop(id);
          await sandboxes.remove(id);
        }),
      );
    } catch (error) {
      logger.warn("sandboxes did not go quietly", { err: messageOf(error) });
    }
  }

  #onTaskEvent(event: TaskEvent): void {
    const { containers, oom, logger } = this.#parts;
    const cgroup = containers.cgroupOf(event.id);
    // At once: the cgroup lives only until containerd has cleaned up.
    if (cgroup !== undefined && event.kind === "oom") oom.atNotice(event.id, cgroup);
    if (cgroup !== undefined && event.kind === "exit") oom.atExit(event.id, cgroup);
    if (event.kind === "exit") void containers.noteExit(event.id);
    this.#pass(event).catch((error: unknown) => {
      logger.warn("an event's object could not be read, asking for a list", { err: messageOf(error) });
      this.#emit({ type: "resync" });
    });
  }

  /** Sandboxes and containers have ids of one form; what just started may not be known yet, and what is gone concerns nobody. */
  async #pass(event: TaskEvent): Promise<void> {
    const { sandboxes, containers } = this.#parts;
    if (sandboxes.has(event.id)) return await this.#settleSandbox(event);
    if (containers.sandboxOf(event.id) !== undefined || (await containers.inspect(event.id)) !== undefined) return await this.#settleContainer(event);
    if ((await sandboxes.inspect(event.id)) !== undefined) await this.#settleSandbox(event);
  }

  /** CRI follows containerd's events like us: the event is passed on when CRI's answers agree with it. */
  async #settleContainer(event: TaskEvent): Promise<void> {
    const { containers } = this.#parts;
    await this.#until(async () => {
      const container = await containers.inspect(event.id);
      if (container === undefined || container.state === "exited") return true;
      return event.kind === "exit" ? false : container.state !== "created";
    });
    const sandboxId = containers.sandboxOf(event.id);
    this.#emit({ type: "container", containerId: event.id, ...(sandboxId === undefined ? {} : { sandboxId }) });
  }

  async #settleSandbox(event: TaskEvent): Promise<void> {
    const { sandboxes } = this.#parts;
    if (event.kind === "exit") await this.#until(async () => !((await sandboxes.inspect(event.id))?.ready ?? false));
    this.#emit({ type: "sandbox", sandboxId: event.id });
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const { clock } = this.#parts;
    const deadlineMs = clock.steadyMs() + SETTLE_MS;
    for (let delayMs = 2; !(await condition()) && clock.steadyMs() < deadlineMs; delayMs = Math.min(delayMs * 2, 200)) await clock.sleep(delayMs);
  }

  #emit(event: RuntimeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
