import { createHash } from "node:crypto";
import type {
  ContainerRuntime,
  DiskUsage,
  GroupLimits,
  ImageInfo,
  PullRequest,
  RuntimeContainer,
  RuntimeContainerSpec,
  RuntimeEvent,
  Sandbox,
  SandboxSpec,
} from "../../contracts/container-runtime.ts";
import type { ContainerStats, ExecResult } from "../../contracts/engine.ts";
import type { Clock } from "../../core/clock.ts";
import type { Ids } from "../../core/ids.ts";
import { Problem } from "../../core/problem.ts";
import { SimulatedContainer } from "./simulated-container.ts";
import { behaviourOf, imageBehaviour, type SimulationScript } from "./script.ts";

export interface SimulatedRuntimeOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly script?: SimulationScript;
}

/** The strings of a simulated runtime, for tests and for `POST /_simulated/…`. */
export interface Simulation {
  /** Replaces the behaviours of containers that are made from now on. */
  setScript(script: SimulationScript): void;
  /** Ends a running container as if by itself. @throws Problem `not-found`. */
  exit(containerId: string, end: { readonly exitCode: number; readonly outOfMemory?: boolean }): void;
  /** As after a reboot: every container and sandbox is gone. */
  reboot(): void;
  /** Takes one sandbox away, as if from outside. */
  loseSandbox(sandboxId: string): void;
  /** From now on this is what containers of this name have written into their own layer. */
  write(container: string, usage: DiskUsage): void;
  /** So many forks were refused in a group. */
  refuseForks(cgroupParent: string, times: number): void;
  /** While set, every verb but `watch` fails with `unavailable`, as while containerd is down; on `false` watchers get a resync. */
  setDown(down: boolean): void;
  /** How often each verb took effect, e.g. to see that nothing was started twice. */
  counts(): Readonly<Record<"createSandbox" | "createContainer" | "startContainer", number>>;
  /** Limits of the groups that exist. */
  groups(): ReadonlyMap<string, GroupLimits>;
}

/** A ContainerRuntime without compute: sandboxes and containers are records in memory that follow a script, in the clock's time. */
export function createSimulatedRuntime(options: SimulatedRuntimeOptions): ContainerRuntime & Simulation {
  return new SimulatedRuntime(options);
}

class SimulatedRuntime implements ContainerRuntime, Simulation {
  readonly #clock: Clock;
  readonly #ids: Ids;
  #script: SimulationScript;
  #down = false;
  readonly #sandboxes = new Map<string, { sandbox: Sandbox; readonly spec: SandboxSpec }>();
  readonly #containers = new Map<string, SimulatedContainer>();
  readonly #bySandbox = new Map<string, Set<string>>();
  readonly #sandboxByName = new Map<string, string>();
  readonly #groups = new Map<string, GroupLimits>();
  /** By container name. */
  readonly #written = new Map<string, DiskUsage>();
  readonly #refusedForks = new Map<string, number>();
  readonly #listeners = new Set<{ readonly call: (event: RuntimeEvent) => void }>();
  readonly #counts = { createSandbox: 0, createContainer: 0, startContainer: 0 };

  constructor(options: SimulatedRuntimeOptions) {
    this.#clock = options.clock;
    this.#ids = options.ids;
    this.#script = options.script ?? {};
  }

  async fingerprint(): Promise<{ name: string; version: string; runtimeHandlers: readonly string[] }> {
    this.#up();
    return { name: "simulated", version: "1", runtimeHandlers: ["runc"] };
  }

  async pullImage(request: PullRequest): Promise<ImageInfo> {
    this.#up();
    const behaviour = imageBehaviour(this.#script, request.image);
    if (behaviour.pullDelayMs !== undefined) await this.#clock.sleep(behaviour.pullDelayMs);
    if (behaviour.pullFails !== undefined) throw new Problem(behaviour.pullFails.kind, behaviour.pullFails.message);
    const digest = request.digest ?? `sha256:${createHash("sha256").update(request.image).digest("hex")}`;
    return { reference: request.image, digest, environment: [], entryPoint: ["/bin/simulated"], command: [] };
  }

  async createSandbox(spec: SandboxSpec): Promise<Sandbox> {
    this.#up();
    const known = this.#sandboxes.get(this.#sandboxByName.get(spec.name) ?? "");
    if (known !== undefined) return known.sandbox;
    const id = this.#ids.hex(64);
    const sandbox: Sandbox = {
      id,
      name: spec.name,
      labels: { ...spec.labels },
      ready: true,
      createdAtMs: this.#clock.nowMs(),
      netnsPath: `/simulated/netns/${id}`,
    };
    this.#sandboxes.set(id, { sandbox, spec });
    this.#sandboxByName.set(spec.name, id);
    if (!this.#groups.has(spec.cgroupParent)) this.#groups.set(spec.cgroupParent, {});
    this.#counts.createSandbox++;
    this.#tell({ type: "sandbox", sandboxId: id });
    return sandbox;
  }

  async stopSandbox(id: string): Promise<void> {
    this.#up();
    const entry = this.#sandboxes.get(id);
    if (entry === undefined || !entry.sandbox.ready) return;
    for (const container of this.#containersOf(id)) container.kill();
    entry.sandbox = { ...entry.sandbox, ready: false, netnsPath: undefined };
    this.#tell({ type: "sandbox", sandboxId: id });
  }

  async removeSandbox(id: string): Promise<void> {
    this.#up();
    await this.stopSandbox(id);
    this.#forget(id);
  }

  async listSandboxes(): Promise<readonly Sandbox[]> {
    this.#up();
    return [...this.#sandboxes.values()].map((entry) => entry.sandbox);
  }

  async inspectSandbox(id: string): Promise<Sandbox | undefined> {
    this.#up();
    return this.#sandboxes.get(id)?.sandbox;
  }

  async createContainer(sandbox: Sandbox, spec: RuntimeContainerSpec): Promise<string> {
    this.#up();
    if (this.#sandboxes.get(sandbox.id)?.sandbox.ready !== true)
      throw new Problem("not-found", `sandbox ${sandbox.name} (${sandbox.id}) is not running`);
    const known = this.#containersOf(sandbox.id).find((container) => container.spec.name === spec.name && container.spec.attempt === spec.attempt);
    if (known !== undefined) return known.id;
    const behaviour = behaviourOf(this.#script, { name: spec.name, image: spec.image.reference, attempt: spec.attempt });
    if (behaviour.createFails !== undefined) throw new Problem("invalid", behaviour.createFails);
    const container = new SimulatedContainer({
      id: this.#ids.hex(64),
      sandboxId: sandbox.id,
      spec,
      behaviour,
      clock: this.#clock,
      changed: (containerId) => this.#tell({ type: "container", containerId, sandboxId: sandbox.id }),
    });
    this.#containers.set(container.id, container);
    this.#bySandbox.set(sandbox.id, (this.#bySandbox.get(sandbox.id) ?? new Set()).add(container.id));
    this.#counts.createContainer++;
    return container.id;
  }

  async startContainer(id: string): Promise<void> {
    this.#up();
    if (await this.#container(id).start()) this.#counts.startContainer++;
  }

  async stopContainer(id: string, options: { readonly graceSeconds: number; readonly signal?: string }): Promise<void> {
    this.#up();
    await this.#containers.get(id)?.stop(options.graceSeconds * 1000);
  }

  async removeContainer(id: string): Promise<void> {
    this.#up();
    const container = this.#containers.get(id);
    if (container === undefined) return;
    container.kill();
    this.#containers.delete(id);
    this.#bySandbox.get(container.sandboxId)?.delete(id);
    this.#tell({ type: "container", containerId: id, sandboxId: container.sandboxId });
  }

  async listContainers(): Promise<readonly RuntimeContainer[]> {
    this.#up();
    return [...this.#containers.values()].map((container) => container.view());
  }

  async inspectContainer(id: string): Promise<RuntimeContainer | undefined> {
    this.#up();
    return this.#containers.get(id)?.view();
  }

  async execSync(id: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    this.#up();
    return this.#container(id).exec(request);
  }

  async stats(id: string): Promise<ContainerStats | undefined> {
    this.#up();
    return this.#containers.get(id)?.stats();
  }

  async layerUsage(): Promise<ReadonlyMap<string, DiskUsage>> {
    this.#up();
    return new Map([...this.#containers.values()].map(({ id, spec }) => [id, this.#written.get(spec.name) ?? { bytes: 0, inodes: 0 }]));
  }

  async refusedForks(cgroupParent: string): Promise<number> {
    this.#up();
    return this.#refusedForks.get(cgroupParent) ?? 0;
  }

  async limitGroup(cgroupParent: string, limits: GroupLimits): Promise<void> {
    this.#up();
    this.#groups.set(cgroupParent, { ...limits });
  }

  async removeGroup(cgroupParent: string): Promise<void> {
    this.#up();
    const user = [...this.#sandboxes.values()].find((entry) => entry.spec.cgroupParent === cgroupParent && entry.sandbox.ready);
    if (user !== undefined) throw new Problem("conflict", `processes of sandbox ${user.sandbox.name} live in ${cgroupParent}`);
    this.#groups.delete(cgroupParent);
  }

  async listGroups(folder: string): Promise<readonly string[]> {
    this.#up();
    return [...this.#groups.keys()].flatMap((group) => (group.startsWith(`${folder}/`) ? [group.slice(folder.length + 1)] : []));
  }

  watch(listener: (event: RuntimeEvent) => void): Disposable {
    const entry = { call: listener };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }

  setScript(script: SimulationScript): void {
    this.#script = script;
  }

  exit(containerId: string, end: { readonly exitCode: number; readonly outOfMemory?: boolean }): void {
    this.#container(containerId).exit(end.outOfMemory === true ? 137 : end.exitCode, end.outOfMemory === true);
  }

  reboot(): void {
    for (const id of Array.from(this.#sandboxes.keys())) this.#forget(id);
    this.#groups.clear();
    this.#tell({ type: "resync" });
  }

  loseSandbox(sandboxId: string): void {
    for (const container of this.#containersOf(sandboxId)) container.kill();
    this.#forget(sandboxId);
  }

  write(container: string, usage: DiskUsage): void {
    this.#written.set(container, usage);
  }

  refuseForks(cgroupParent: string, times: number): void {
    this.#refusedForks.set(cgroupParent, times);
  }

  setDown(down: boolean): void {
    this.#down = down;
    if (!down) this.#tell({ type: "resync" });
  }

  counts(): Readonly<Record<"createSandbox" | "createContainer" | "startContainer", number>> {
    return { ...this.#counts };
  }

  groups(): ReadonlyMap<string, GroupLimits> {
    return this.#groups;
  }

  #up(): void {
    if (this.#down) throw new Problem("unavailable", "the simulated runtime is down");
  }

  #container(id: string): SimulatedContainer {
    const container = this.#containers.get(id);
    if (container === undefined) throw new Problem("not-found", `there is no container ${id}`);
    return container;
  }

  #containersOf(sandboxId: string): readonly SimulatedContainer[] {
    return [...(this.#bySandbox.get(sandboxId) ?? [])].flatMap((id) => this.#containers.get(id) ?? []);
  }

  #forget(sandboxId: string): void {
    for (const container of this.#containersOf(sandboxId)) {
      container.kill();
      this.#containers.delete(container.id);
    }
    this.#bySandbox.delete(sandboxId);
    const entry = this.#sandboxes.get(sandboxId);
    if (entry === undefined) return;
    this.#sandboxes.delete(sandboxId);
    this.#sandboxByName.delete(entry.sandbox.name);
    this.#tell({ type: "sandbox", sandboxId });
  }

  #tell(event: RuntimeEvent): void {
    if (this.#down) return;
    for (const { call } of Array.from(this.#listeners)) call(event);
  }
}
