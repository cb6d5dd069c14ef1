import { release } from "node:os";
import type { Sandbox } from "../contracts/container-runtime.ts";
import type {
  ContainerLogFile,
  ContainerStats,
  ContainerStatus,
  Engine,
  EngineInfo,
  ExecResult,
  StopReason,
  StreamEndpoint,
  StreamRequest,
  WorkloadChange,
  WorkloadStatus,
  WorkloadView,
} from "../contracts/engine.ts";
import type { ContainerSpec, Workload } from "../contracts/workload.ts";
import type { Informer } from "../control/informer.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem, Problem } from "../core/problem.ts";
import { imageArchitecture } from "../host/architecture.ts";
import { acceptWorkload } from "./accept-workload.ts";
import type { Admission } from "./admission.ts";
import type { ComputeContext } from "./compute-context.ts";
import { PLACEMENTS, runtimeIdsOf, STATUSES, WORKLOADS, type PlacementRecord, type WorkloadRecord } from "./records.ts";
import { written } from "./provision.ts";
import { requestStop } from "./request-stop.ts";
import { cgroupParentOf } from "./sandbox-pool.ts";
import { viewOf } from "./view.ts";

export interface WorkloadEngineOptions {
  readonly context: ComputeContext;
  readonly admission: Admission;
  readonly ids: Ids;
  readonly records: Informer<WorkloadRecord>;
  readonly cpuUnits: number;
  /** A sandbox now belongs to a workload. */
  readonly placed: (id: string, placement: PlacementRecord) => void;
}

/** The Engine over a ContainerRuntime: calls write what is wanted; the workload controller does the rest. */
export class WorkloadEngine implements Engine {
  readonly #options: WorkloadEngineOptions;
  readonly #context: ComputeContext;

  constructor(options: WorkloadEngineOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  async fingerprint(): Promise<EngineInfo> {
    const { name, version, runtimeHandlers } = await this.#context.runtime.fingerprint();
    const machine = { architecture: imageArchitecture(), kernel: release() };
    return { name, version, machine, runtimeHandlers, capacity: { memoryMiB: this.#options.admission.limitMiB, cpuUnits: this.#options.cpuUnits } };
  }

  async start(workload: Workload): Promise<void> {
    const { store, pool, clock } = this.#context;
    if ((await store.get(WORKLOADS, workload.id)) !== undefined) return;
    acceptWorkload(workload);
    this.#options.admission.admit(workload.id, workload.memoryMiB);
    const sandboxName = pool.take(workload);
    const acceptedAtMs = clock.nowMs();
    const placement = this.#placementOf(workload, sandboxName);
    try {
      await store.transact([
        { op: "create", collection: WORKLOADS, key: workload.id, value: { workload, acceptedAtMs, desired: "RUNNING" } },
        { op: "create", collection: STATUSES, key: workload.id, value: firstStatus(workload, acceptedAtMs) },
        { op: "create", collection: PLACEMENTS, key: workload.id, value: placement },
      ]);
    } catch (error) {
      pool.giveBack(sandboxName, workload);
      // Another call with the same id was first; what it was promised stands.
      if (isProblem(error, "already-exists")) return;
      this.#options.admission.release(workload.id);
      throw error;
    }
    this.#options.placed(workload.id, placement);
  }

  async stop(id: string, reason: StopReason, options: { readonly graceSeconds?: number } = {}): Promise<void> {
    await requestStop(this.#context, id, reason, options);
  }

  async refresh(id: string, { files = {}, activeDeadlineSeconds }: WorkloadChange): Promise<void> {
    const { store, folders } = this.#context;
    if (activeDeadlineSeconds !== undefined)
      await this.#change(id, ({ workload, desired }) => (desired === "STOPPED" ? undefined : { ...workload, activeDeadlineSeconds }));
    if (Object.keys(files).length === 0) return;
    const [record, status] = await Promise.all([store.get(WORKLOADS, id), store.get(STATUSES, id)]);
    const { network, desired } = status?.value ?? {};
    if (record === undefined || network === undefined || desired === "STOPPED") return;
    const producers = { workload: record.value.workload, network, runtimeId: "" };
    const content = Object.entries(files).map(([name, now]) => [name, now.map((file) => written(file, producers))] as const);
    await folders.refresh(record.value.workload, Object.fromEntries(content));
  }

  async destroy(id: string): Promise<void> {
    const { store, folders } = this.#context;
    const status = await store.get(STATUSES, id);
    if (status !== undefined) {
      if (status.value.state !== "STOPPED")
        throw new Problem("conflict", `workload ${id} is ${status.value.state}; stop it and wait for STOPPED before it is destroyed`);
      await store.transact([
        { op: "delete", collection: STATUSES, key: id, ifRevision: status.revision },
        { op: "delete", collection: WORKLOADS, key: id },
      ]);
    }
    await Promise.all([folders.removeWorkload(id), folders.removeKeptLogs(id)]);
  }

  async get(id: string): Promise<WorkloadView | undefined> {
    const [record, status] = await Promise.all([this.#context.store.get(WORKLOADS, id), this.#context.store.get(STATUSES, id)]);
    return record === undefined || status === undefined ? undefined : viewOf(record.value, status.value);
  }

  async list(filter: { readonly labels?: Readonly<Record<string, string>> } = {}): Promise<readonly WorkloadView[]> {
    const [records, statuses] = await Promise.all([this.#context.store.list(WORKLOADS), this.#context.store.list(STATUSES)]);
    const byId = new Map(statuses.map((status) => [status.key, status.value]));
    const wanted = Object.entries(filter.labels ?? {});
    return records.flatMap(({ key, value }) => {
      const status = byId.get(key);
      if (status === undefined || !wanted.every(([name, label]) => value.workload.labels[name] === label)) return [];
      return [viewOf(value, status)];
    });
  }

  watch(listener: (view: WorkloadView) => void): Disposable {
    return this.#context.store.watch(STATUSES, (change) => {
      const record = this.#options.records.get(change.key);
      if (change.value !== undefined && record !== undefined) listener(viewOf(record.value, change.value));
    });
  }

  async stats(id: string, container?: string): Promise<ContainerStats | undefined> {
    if (container === undefined) {
      const placement = await this.#context.store.get(PLACEMENTS, id);
      return placement === undefined ? undefined : this.#context.runtime.groupStats?.(placement.value.cgroupParent);
    }
    const containerId = await this.#runningContainer(id, container);
    return containerId === undefined ? undefined : this.#context.runtime.stats(containerId);
  }

  async exec(id: string, container: string, request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    const containerId = await this.#runningContainer(id, container);
    if (containerId === undefined) throw new Problem("conflict", `container ${container} of workload ${id} does not run`);
    return this.#context.runtime.execSync(containerId, request);
  }

  async stream(id: string, request: StreamRequest): Promise<StreamEndpoint> {
    const { runtime } = this.#context;
    if (runtime.stream === undefined) throw new Problem("unsupported", "nothing runs here that could be streamed from");
    if (request.type === "port-forward") {
      const sandbox = await this.#sandboxOf(id);
      if (sandbox?.ready !== true) throw new Problem("conflict", `workload ${id} does not run`);
      return runtime.stream({ type: "port-forward", sandboxId: sandbox.id, ports: request.ports });
    }
    const { container, ...rest } = request;
    const containerId = await this.#runningContainer(id, container);
    if (containerId === undefined) throw new Problem("conflict", `container ${container} of workload ${id} does not run`);
    return runtime.stream({ ...rest, containerId });
  }

  async logFiles(id: string): Promise<readonly ContainerLogFile[]> {
    const { store, folders } = this.#context;
    const [record, placement] = await Promise.all([store.get(WORKLOADS, id), store.get(PLACEMENTS, id)]);
    const logged = (record?.value.workload.containers ?? []).filter(({ log }) => log.type === "file");
    const found = logged.map(async ({ name }) => {
      // In this order, as a workload's end moves them from the one to the other: what is in neither look is nowhere.
      const running = placement === undefined ? [] : await folders.logFiles(id, name, placement.value.sandboxName);
      const kept = await folders.logFiles(id, name);
      return [...kept, ...running].map((file) => ({ container: name, ...file }));
    });
    return (await Promise.all(found)).flat();
  }

  async addContainer(id: string, container: ContainerSpec): Promise<void> {
    const isThere = await this.#change(id, ({ workload, desired }) => {
      if (workload.containers.some(({ name }) => name === container.name)) return undefined;
      if (desired === "STOPPED") throw new Problem("conflict", `workload ${id} is to end: nothing is started in it any more`);
      return { ...workload, containers: [...workload.containers, container] };
    });
    if (!isThere) throw new Problem("not-found", `workload ${id} does not exist`);
  }

  /** Stores another version of a workload, which its controller then goes by, unless `change` leaves it. Answers whether there is such a workload. */
  async #change(id: string, change: (record: WorkloadRecord) => Workload | undefined): Promise<boolean> {
    const { store } = this.#context;
    for (;;) {
      const stored = await store.get(WORKLOADS, id);
      if (stored === undefined) return false;
      const workload = change(stored.value);
      if (workload === undefined) return true;
      acceptWorkload(workload);
      try {
        await store.transact([{ op: "update", collection: WORKLOADS, key: id, value: { ...stored.value, workload }, ifRevision: stored.revision }]);
        return true;
      } catch (error) {
        if (!isProblem(error, "conflict")) throw error;
      }
    }
  }

  async #sandboxOf(id: string): Promise<Sandbox | undefined> {
    const placement = await this.#context.store.get(PLACEMENTS, id);
    return placement === undefined ? undefined : this.#context.cache.sandboxNamed(placement.value.sandboxName);
  }

  async #runningContainer(id: string, container: string): Promise<string | undefined> {
    const sandbox = await this.#sandboxOf(id);
    if (sandbox === undefined) return undefined;
    return this.#context.cache.containersOf(sandbox.id).find((each) => each.name === container && each.state === "running")?.id;
  }

  #placementOf(workload: Workload, sandboxName: string): PlacementRecord {
    const { ids, context } = this.#options;
    return {
      sandboxName,
      cgroupParent: cgroupParentOf(context.config.instanceId, sandboxName),
      ...(workload.taskRoleArn !== undefined && { credentialsId: ids.uuid() }),
      runtimeIds: runtimeIdsOf(workload.id, workload.containers, ids),
      streaks: {},
      stopSentAtMs: {},
    };
  }
}

function firstStatus(workload: Workload, acceptedAtMs: number): WorkloadStatus {
  const containers = workload.containers.map(({ name }): ContainerStatus => ({
    name,
    state: "PENDING",
    health: "UNKNOWN",
    ready: false,
    restartCount: 0,
  }));
  return {
    id: workload.id,
    state: "PROVISIONING",
    desired: "RUNNING",
    health: "UNKNOWN",
    containers,
    acceptedAtMs,
    version: 1,
    timeline: [{ phase: "PROVISIONING", atMs: acceptedAtMs }],
  };
}
