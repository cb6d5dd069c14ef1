import type { Task } from "@aws-sdk/client-ecs";
import type { Engine, WorkloadStatus, WorkloadView } from "../../contracts/engine.ts";
import type { Store } from "../../contracts/store.ts";
import { createInformer, type Informer } from "../../control/informer.ts";
import { type ObservedTask, taskKeyOfWorkload } from "./observed-task.ts";
import { type TaskRecord, clusterKey, serviceKey, tasks } from "./records.ts";
import { taskView } from "./task-view.ts";

interface CachedView {
  readonly revision: number;
  readonly version: number;
  readonly view: Task;
}

/**
 * All tasks in memory with their statuses, kept current by the store's changes and the engine's events. Reads are synchronous and see
 * every write of this process. Rendered views are kept until the record or the status changes.
 */
export class TaskIndex {
  readonly #store: Store;
  readonly #engine: Engine;
  readonly #statuses = new Map<string, WorkloadStatus>();
  readonly #views = new Map<string, CachedView>();
  readonly #listeners = new Set<{ readonly call: (key: string, record: TaskRecord | undefined) => void }>();
  #loading: Promise<void> | undefined;
  #informer: Informer<TaskRecord> | undefined;
  #watches: Disposable[] = [];

  constructor(store: Store, engine: Engine) {
    this.#store = store;
    this.#engine = engine;
  }

  /** Resolves when all tasks are in memory; every reader awaits it first. */
  ready(): Promise<void> {
    this.#loading ??= this.#load().catch((error: unknown) => {
      this.close();
      throw error;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    this.#watches.push(this.#engine.watch((view) => this.#observe(view)));
    this.#informer = await createInformer({
      store: this.#store,
      collection: tasks,
      indexes: {
        cluster: ({ value }) => [clusterKey(value, value.cluster)],
        "target-group": ({ value }) => value.loadBalancers.flatMap((balancer) => balancer.targetGroupArn ?? []),
        service: ({ value }) => (value.service === undefined ? [] : [serviceKey(value, value.cluster, value.service.name)]),
      },
    });
    this.#watches.push(
      this.#informer,
      this.#informer.changes((change) => {
        if (change.value === undefined) this.#views.delete(change.key);
      }),
    );
    for (const view of await this.#engine.list({ labels: { owner: "ecs" } })) this.#observe(view);
  }

  #observe(view: WorkloadView): void {
    const key = taskKeyOfWorkload(view);
    if (key === undefined || (this.#statuses.get(key)?.version ?? -1) > view.status.version) return;
    this.#statuses.set(key, view.status);
    for (const { call } of Array.from(this.#listeners)) call(key, this.#informer?.get(key)?.value);
  }

  get(key: string): ObservedTask | undefined {
    const stored = this.#loaded().get(key);
    return stored === undefined ? undefined : this.#join(stored);
  }

  /** As `get`, but answers `undefined` too while nothing is loaded yet. */
  find(key: string): ObservedTask | undefined {
    return this.#informer === undefined ? undefined : this.get(key);
  }

  inCluster(key: string): readonly ObservedTask[] {
    return this.#loaded()
      .byIndex("cluster", key)
      .map((stored) => this.#join(stored));
  }

  ofService(key: string): readonly ObservedTask[] {
    return this.#loaded()
      .byIndex("service", key)
      .map((stored) => this.#join(stored));
  }

  /** The tasks that are (or were) this target. */
  withTarget(target: { readonly ip: string; readonly targetGroupArn: string }): readonly TaskRecord[] {
    if (this.#informer === undefined) return [];
    return this.#informer.byIndex("target-group", target.targetGroupArn).flatMap(({ key, value }) => {
      return this.#statuses.get(key)?.network?.privateIpv4 === target.ip ? [value] : [];
    });
  }

  all(): readonly ObservedTask[] {
    return this.#loaded()
      .list()
      .map((stored) => this.#join(stored));
  }

  #join(stored: { readonly key: string; readonly value: TaskRecord; readonly revision: number }): ObservedTask {
    const status = this.#statuses.get(stored.key);
    return { key: stored.key, record: stored.value, revision: stored.revision, ...(status === undefined ? {} : { status }) };
  }

  /** The API's shape, without tags. Callers must not change it. */
  viewOf(task: ObservedTask): Task {
    const cached = this.#views.get(task.key);
    const version = task.status?.version ?? -1;
    if (cached?.revision === task.revision && cached.version === version) return cached.view;
    const view = taskView(task);
    this.#views.set(task.key, { revision: task.revision, version, view });
    return view;
  }

  /** Calls `listener` after each change of a status. Dispose the answer to stop. */
  onStatus(call: (key: string, record: TaskRecord | undefined) => void): Disposable {
    const entry = { call };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  /** The engine has forgotten the workload. */
  forget(key: string): void {
    this.#statuses.delete(key);
    this.#views.delete(key);
  }

  close(): void {
    for (const watch of this.#watches.splice(0)) watch[Symbol.dispose]();
    this.#loading = undefined;
    this.#informer = undefined;
    this.#statuses.clear();
    this.#views.clear();
  }

  #loaded(): Informer<TaskRecord> {
    if (this.#informer === undefined) throw new Error("the task index is read before it is ready");
    return this.#informer;
  }
}
