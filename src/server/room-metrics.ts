import { Counter, Gauge, type Registry } from "prom-client";
import { WORKLOAD_STATES } from "../contracts/engine.ts";
import type { TargetHealth } from "../contracts/load-balancer.ts";
import { createInformer } from "../control/informer.ts";
import type { ControllerState } from "../control/controller-runner.ts";
import { STATUSES } from "../fargate/records.ts";
import { targetHealths } from "../loadbalancer/records.ts";
import { BLOB_LINKS, MANIFESTS, REPOSITORIES, TAGS } from "../registry/records.ts";
import type { Rooms } from "./rooms.ts";

interface Sources {
  readonly rooms: Pick<Rooms, "store" | "supervisor" | "fargate" | "collector" | "disk">;
  readonly controllers: () => readonly ControllerState[];
}

type SetValue = (labels: Readonly<Record<string, string>>, value: number) => void;

interface Family {
  /** `…_total` for what only grows. */
  readonly name: `tidegate_${string}`;
  readonly help: string;
  readonly labels?: readonly string[];
  /** Asked at each scrape; sets the value of each series there is. */
  readonly collect: (set: SetValue) => void | Promise<void>;
}

const TARGET_STATES: readonly TargetHealth["state"][] = ["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"];
const MIB = 1024 * 1024;

/**
 * Adds what the rooms hold to `/metrics`: a row a family. Labels are of closed sets (states, kinds) or few by nature (controllers, daemons:
 * two a VPC); never a task, service or image, so that the number of series stays small whatever runs. Dispose the answer to stop watching.
 */
export async function watchRooms(registry: Registry, sources: Sources): Promise<Disposable> {
  const { store } = sources.rooms;
  const workloads = await createInformer({ store, collection: STATUSES, indexes: { state: ({ value }) => [value.state] } });
  const targets = await createInformer({ store, collection: targetHealths, indexes: { state: ({ value }) => [value.state] } });
  const families: readonly Family[] = [
    {
      name: "tidegate_workloads",
      help: "Workloads by state; stopped ones are kept for an hour",
      labels: ["state"],
      collect: (set) => WORKLOAD_STATES.forEach((state) => set({ state }, workloads.byIndex("state", state).length)),
    },
    {
      name: "tidegate_load_balancer_targets",
      help: "Targets of load balancers by health",
      labels: ["state"],
      collect: (set) => TARGET_STATES.forEach((state) => set({ state }, targets.byIndex("state", state).length)),
    },
    ...computeFamilies(sources),
    ...storageFamilies(sources),
    ...controlFamilies(sources),
  ];
  for (const family of families) addFamily(registry, family);
  return {
    [Symbol.dispose]() {
      workloads[Symbol.dispose]();
      targets[Symbol.dispose]();
    },
  };
}

function computeFamilies({ rooms }: Sources): readonly Family[] {
  const { fargate, collector } = rooms;
  return [
    {
      name: "tidegate_warm_sandboxes",
      help: "Ready sandboxes that no workload has taken yet",
      collect: (set) => set({}, fargate.figures().warmSandboxes),
    },
    {
      name: "tidegate_memory_promised_bytes",
      help: "Memory promised to workloads that have not stopped",
      collect: (set) => set({}, fargate.figures().promisedMemoryMiB * MIB),
    },
    {
      name: "tidegate_memory_promisable_bytes",
      help: "Memory that may be promised in all; beyond it tasks are refused with RESOURCE:MEMORY",
      collect: (set) => set({}, fargate.figures().promisableMemoryMiB * MIB),
    },
    {
      name: "tidegate_log_collector_lag_bytes",
      help: "What containers have written and the log store does not hold yet",
      collect: async (set) => set({}, await collector.lagBytes()),
    },
    {
      name: "tidegate_log_dropped_bytes_total",
      help: "Bytes of container logs that were dropped because they came faster than they could be stored",
      collect: (set) => set({}, collector.health().droppedBytes),
    },
    {
      name: "tidegate_log_sources_failing",
      help: "Container logs that cannot be read or stored at the moment",
      collect: (set) => set({}, collector.health().failing.length),
    },
  ];
}

function storageFamilies({ rooms }: Sources): readonly Family[] {
  const { store, disk } = rooms;
  return [
    {
      name: "tidegate_disk_free_bytes",
      help: "Free space of the disk that holds the data folder",
      collect: async (set) => set({}, (await disk.space()).freeBytes),
    },
    {
      name: "tidegate_disk_size_bytes",
      help: "Size of the disk that holds the data folder",
      collect: async (set) => set({}, (await disk.space()).totalBytes),
    },
    {
      name: "tidegate_disk_reserve_bytes",
      help: "Free space below which pushes and pulls are refused",
      collect: async (set) => set({}, disk.reserveOf(await disk.space())),
    },
    {
      name: "tidegate_registry_objects",
      help: "What the registry holds, by kind; a blob that several repositories share counts once",
      labels: ["kind"],
      collect: async (set) => {
        set({ kind: "repository" }, (await store.list(REPOSITORIES)).length);
        set({ kind: "manifest" }, (await store.list(MANIFESTS)).length);
        set({ kind: "tag" }, (await store.list(TAGS)).length);
        set({ kind: "blob" }, (await blobSizes(rooms)).size);
      },
    },
    {
      name: "tidegate_registry_blob_bytes",
      help: "Size of the registry's blobs; one that several repositories share counts once",
      collect: async (set) => {
        set(
          {},
          [...(await blobSizes(rooms)).values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0),
        );
      },
    },
  ];
}

async function blobSizes({ store }: Sources["rooms"]): Promise<ReadonlyMap<string, number>> {
  return new Map((await store.list(BLOB_LINKS)).map(({ value }) => [value.digest, value.sizeBytes]));
}

function controlFamilies({ rooms, controllers }: Sources): readonly Family[] {
  const { supervisor } = rooms;
  return [
    {
      name: "tidegate_controller_keys",
      help: "Keys of a controller by what they wait for; failing ones are tried again with back-off",
      labels: ["controller", "state"],
      collect(set) {
        for (const { name, ready, running, delayed, failing } of controllers()) {
          for (const [state, count] of Object.entries({ ready, running, delayed, failing: failing.length })) set({ controller: name, state }, count);
        }
      },
    },
    {
      name: "tidegate_controller_reconciles_total",
      help: "Reconciles since the start of the control plane",
      labels: ["controller"],
      collect: (set) => controllers().forEach(({ name, reconciles }) => set({ controller: name }, reconciles)),
    },
    {
      name: "tidegate_controller_reconcile_errors_total",
      help: "Reconciles that failed, since the start of the control plane",
      labels: ["controller"],
      collect: (set) => controllers().forEach(({ name, errors }) => set({ controller: name }, errors)),
    },
    {
      name: "tidegate_daemon_up",
      help: "1 while a daemon runs",
      labels: ["daemon"],
      collect: (set) => supervisor.list().forEach(({ name, pid }) => set({ daemon: name }, pid === undefined ? 0 : 1)),
    },
    {
      name: "tidegate_daemon_restarts_total",
      help: "Restarts of a daemon that were not asked for, since the start of the control plane",
      labels: ["daemon"],
      collect: (set) => supervisor.list().forEach(({ name, restarts }) => set({ daemon: name }, restarts)),
    },
  ];
}

function addFamily(registry: Registry, { name, help, labels = [], collect }: Family): void {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (name.endsWith("_total")) {
    const counter: Counter = new Counter({
      ...options,
      async collect() {
        counter.reset();
        await collect((values, value) => counter.inc({ ...values }, value));
      },
    });
    return;
  }
  const gauge: Gauge = new Gauge({
    ...options,
    async collect() {
      gauge.reset();
      await collect((values, value) => gauge.set({ ...values }, value));
    },
  });
}
