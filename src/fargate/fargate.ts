import { existsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { Controller } from "../contracts/controller.ts";
import type { Engine, WorkloadStatus } from "../contracts/engine.ts";
import type { LogCollector } from "../contracts/log-store.ts";
import type { Network } from "../contracts/network.ts";
import type { Store, Write } from "../contracts/store.ts";
import type { TaskHook } from "../contracts/task-hook.ts";
import { createInformer } from "../control/informer.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { PresentTimes } from "../core/present-times.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { AddressBook } from "./address-book.ts";
import { Admission } from "./admission.ts";
import type { ComputeContext } from "./compute-context.ts";
import { CredentialsCache } from "./credentials-cache.ts";
import { ImageCollector } from "./image-collector.ts";
import { Limiter } from "./limiter.ts";
import { LogKeeper } from "./log-keeper.ts";
import { MetadataRoutes } from "./metadata-routes.ts";
import { createMetadataServer, type MetadataServer } from "./metadata-server.ts";
import type { ImageResolver, MetadataRenderer, PodCredentials, RoleCredentials } from "./ports.ts";
import { hostAvailableMiB, SpotReclaim } from "./spot-reclaim.ts";
import { Prober } from "./prober.ts";
import { hostProcesses } from "./process-limit.ts";
import { TAKEN_DOWN } from "./reasons.ts";
import { LABELS, PLACEMENTS, STATUSES, WORKLOADS, type PlacementRecord } from "./records.ts";
import { requestStop } from "./request-stop.ts";
import { workloadOfOwner, writerOf } from "./run-container.ts";
import { RuntimeCache } from "./runtime-cache.ts";
import { SandboxPool } from "./sandbox-pool.ts";
import { createInertTuner, createNsenterTuner, type SandboxTuner } from "./sandbox-tuner.ts";
import { lookForLeftovers, planSweep, removeSandbox, sweep } from "./sweep.ts";
import { Sweeper } from "./sweeper.ts";
import { UsageWatch } from "./usage-watch.ts";
import { WorkloadController } from "./workload-controller.ts";
import { WorkloadEngine } from "./workload-engine.ts";
import { createInertFolders, createWorkloadFolders, volumeFolder, type WorkloadFolders } from "./workload-folders.ts";

export interface FargateOptions {
  readonly config: Pick<InstanceConfig, "instanceId" | "dataDir" | "trustHostCa" | "engine">;
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly runtime: ContainerRuntime;
  readonly network: Network;
  readonly logs: LogCollector;
  readonly images: ImageResolver;
  /** Known from the start; more come by `registerHook`, before `start`. */
  readonly hooks?: readonly TaskHook[];
  readonly credentials: RoleCredentials;
  readonly metadata: MetadataRenderer;
  readonly podCredentials: PodCredentials;
  /** Default: the host's. */
  readonly hostMemoryMiB?: number;
  /** How often the host's memory may be promised; default 2. */
  readonly memoryOvercommit?: number;
  /** Kept for the daemons; default 512. When less of the host's memory is available, Spot workloads end. */
  readonly reserveMiB?: number;
  /** MiB; default: the host's, and nothing for the simulated engine, whose workloads take none. */
  readonly hostMemoryAvailable?: () => Promise<number>;
  /** Ready sandboxes kept for each runtime handler; default 3. */
  readonly warmSandboxes?: number;
  /** Handlers to keep warm before any workload asks; default the runtime's first. */
  readonly warmHandlers?: readonly string[];
  /** Sandboxes and containers made and started at once; default 8. */
  readonly launchConcurrency?: number;
  /** Where the host keeps its CA bundle; default the first of the usual places that is there. */
  readonly hostCaPath?: string;
  /** A static init for containers with `initProcess`; default `/usr/bin/catatonit`. */
  readonly initProgram?: string;
  /** Default: what the host's kernel allows. */
  readonly hostProcesses?: number;
  /** Whether what workloads have on disk is measured; default true, for the simulated engine false. */
  readonly watchUsage?: boolean;
  /** Default: none for the simulated engine, nsenter for the others. */
  readonly tuner?: SandboxTuner;
  /** Default: none for the simulated engine, under `dataDir` for the others. */
  readonly folders?: WorkloadFolders;
}

export interface FargateFigures {
  readonly promisedMemoryMiB: number;
  /** What may be promised in all. */
  readonly promisableMemoryMiB: number;
  readonly warmSandboxes: number;
}

export interface Fargate {
  readonly engine: Engine;
  readonly controllers: readonly Controller[];
  /** @throws Problem `already-exists` for a second hook of the same name. */
  registerHook(hook: TaskHook): void;
  /** Plans a workload again now, and lets what waits for its next try (a hook that answered "not yet") try at once. */
  wake(workloadId: string): void;
  readonly metadataServer: MetadataServer;
  /** Removes images from the runtime that no workload uses. */
  readonly images: ImageCollector;
  /** Removes a persistent volume that no workload has any more, with all that is in it. Idempotent. */
  removeVolume(id: string): Promise<void>;
  /** Where a persistent volume is on the host, whether or not it has been made. */
  volumeFolder(id: string): string;
  /** What it holds now, for metrics. */
  figures(): FargateFigures;
  /** The id of the running container that writes a log, by the log's source id. */
  writerOfLog(sourceId: string): string | undefined;
  /** Takes over what runs, sweeps what nobody owns, and begins to fill the warm pool. Controllers wait for it. @throws what the runtime's lists throw. */
  start(): Promise<void>;
  /** Lets go of everything; what runs goes on. */
  close(): Promise<void>;
  /** Ends every workload at once and takes away all that this instance has in the runtime, on the network and in folders. To be called after the controllers have stopped. */
  removeEverything(): Promise<void>;
}

const CA_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/** The compute layer: an Engine over a ContainerRuntime, with everything a workload needs around its containers. */
export async function createFargate(options: FargateOptions): Promise<Fargate> {
  const logger = options.logger.child({ room: "fargate" });
  const shutdown = new AbortController();
  const started = Promise.withResolvers<void>();
  // Nobody may be waiting when a start fails.
  started.promise.catch(() => {});
  const records = await createInformer({ store: options.store, collection: WORKLOADS });
  const hooks = new Map<string, TaskHook>();
  /** By sandbox name. */
  const owners = new Map<string, string>();
  const addresses = new AddressBook();
  const limiter = new Limiter(options.launchConcurrency ?? 8);
  const reserveMiB = options.reserveMiB ?? 512;
  const admission = new Admission({
    hostMemoryMiB: options.hostMemoryMiB ?? Math.floor(totalmem() / 1024 / 1024),
    overcommit: options.memoryOvercommit ?? 2,
    reserveMiB,
  });
  const { config, runtime, clock, ids, store, network } = options;
  const cache = new RuntimeCache({
    runtime,
    clock,
    logger,
    changed(sandbox) {
      const owner = owners.get(sandbox.name);
      if (owner !== undefined) controller.wake(owner);
      else pool.check(sandbox);
    },
    resynced() {
      pool.checkAll();
      // containerd was away: what was being made in it may have been left half made.
      sweeper.soon();
      for (const owner of owners.values()) controller.wake(owner);
    },
  });
  const pool = new SandboxPool({ config, runtime, cache, clock, ids, logger, limiter, size: options.warmSandboxes ?? 3 });
  const simulated = config.engine === "simulated";
  const context: ComputeContext = {
    config,
    store,
    clock,
    times: new PresentTimes(clock),
    logger,
    runtime,
    network,
    logs: options.logs,
    images: options.images,
    cache,
    pool,
    folders: options.folders ?? (simulated ? createInertFolders() : createWorkloadFolders({ dataDir: config.dataDir })),
    tuner: options.tuner ?? (simulated ? createInertTuner() : createNsenterTuner()),
    limiter,
    hooks,
    hostCaPath: config.trustHostCa ? (options.hostCaPath ?? CA_BUNDLES.find((path) => existsSync(path))) : undefined,
    initProgram: options.initProgram ?? "/usr/bin/catatonit",
    hostProcesses: options.hostProcesses ?? hostProcesses(),
    signal: shutdown.signal,
  };
  const prober = new Prober({ runtime, clock, changed: (id) => controller.wake(id) });
  const credentials = new CredentialsCache({ credentials: options.credentials, clock });
  const sweeper = new Sweeper(context);
  const placed = (id: string, placement: PlacementRecord): void => {
    owners.set(placement.sandboxName, id);
    pool.claimed(placement.sandboxName);
  };
  const engine = new WorkloadEngine({ context, admission, ids, records, cpuUnits: availableParallelism() * 1024, placed });
  const credentialsIdOf = async (id: string): Promise<string | undefined> => (await store.get(PLACEMENTS, id))?.value.credentialsId;
  const usage = new UsageWatch({
    context,
    placed: async () =>
      (await store.list(PLACEMENTS)).flatMap(({ key, value }) => {
        const workload = records.get(key)?.value.workload;
        return workload === undefined ? [] : [{ workload, placement: value }];
      }),
    note: (id, words) => controller.note(id, words),
  });
  const logKeeper = new LogKeeper({ context, workload: (id) => records.get(id)?.value.workload });
  const routes = new MetadataRoutes({
    engine,
    renderer: options.metadata,
    podCredentials: options.podCredentials,
    credentials,
    credentialsIdOf,
    storageUsedBytes: (id) => usage.usedBytes(id) ?? 0,
    onlineCpus: availableParallelism(),
  });
  const stopped = (id: string, placement: PlacementRecord | undefined): void => {
    credentials.delete(id);
    if (placement === undefined) return;
    if (owners.get(placement.sandboxName) === id) owners.delete(placement.sandboxName);
    routes.forget(Object.values(placement.runtimeIds));
  };
  const controller = new WorkloadController({ context, prober, admission, ids, addresses, ready: started.promise, stopped });
  const metadataServer = createMetadataServer({ network, addresses, routes, logger });

  const hookSources: Disposable[] = [];
  const registerHook = (hook: TaskHook): void => {
    if (hooks.has(hook.name)) throw new Problem("already-exists", `two task hooks are named ${hook.name}`);
    hooks.set(hook.name, hook);
  };
  for (const hook of options.hooks ?? []) registerHook(hook);

  /** Answers the ids of the workloads that ran before. */
  async function takeOver(): Promise<readonly string[]> {
    const [statuses, placements] = await Promise.all([store.list(STATUSES), store.list(PLACEMENTS)]);
    const active = statuses.map((status) => status.value).filter((status) => status.state !== "STOPPED");
    for (const status of active) {
      const workload = records.get(status.id)?.value.workload;
      if (workload !== undefined) admission.adopt(status.id, workload.memoryMiB);
      if (status.network !== undefined) addresses.set(status.id, status.network);
    }
    for (const { key, value } of placements) placed(key, value);
    await cache.start();
    await sweep(context, planSweep(await lookForLeftovers(context, { adoptable: (sandbox) => pool.adopts(sandbox) })));
    sweeper.soon();
    const { runtimeHandlers } = await runtime.fingerprint();
    for (const hook of hooks.values()) {
      const source = hook.sources?.((id) => controller.nudge(id));
      if (source !== undefined) hookSources.push(source);
    }
    pool.start(options.warmHandlers ?? runtimeHandlers.slice(0, 1));
    const availableMiB = options.hostMemoryAvailable ?? (simulated ? undefined : hostAvailableMiB);
    if (availableMiB !== undefined) hookSources.push(new SpotReclaim({ store, clock, logger, availableMiB, reserveMiB }));
    return active.map((status) => status.id);
  }

  return {
    engine,
    controllers: [controller],
    registerHook,
    wake: (id) => controller.nudge(id),
    metadataServer,
    images: new ImageCollector({ runtime, held: () => controller.heldImages(), logger }),
    removeVolume: (id) => context.folders.removeVolume(id),
    volumeFolder: (id) => volumeFolder(options.config.dataDir, id),
    figures: () => ({ promisedMemoryMiB: admission.promisedMiB, promisableMemoryMiB: admission.limitMiB, warmSandboxes: pool.warm }),
    writerOfLog: (sourceId) => writerOf(sourceId, cache.containers()),
    async start() {
      try {
        const adopted = await takeOver();
        started.resolve();
        if (!simulated) logKeeper.start();
        if (options.watchUsage ?? !simulated) usage.start(adopted);
      } catch (error) {
        started.reject(error);
        throw error;
      }
    },
    async close() {
      shutdown.abort(new Problem("unavailable", "Tidegate is ending"));
      for (const source of hookSources.splice(0)) source[Symbol.dispose]();
      sweeper.close();
      logKeeper[Symbol.dispose]();
      pool.close();
      prober.close();
      await Promise.all([pool.settled(), usage.close()]);
      cache.close();
      records[Symbol.dispose]();
      await metadataServer.close();
    },
    removeEverything: () => removeEverything(context, { prober }),
  };
}

/** Ends what runs without grace, and marks it STOPPED. */
async function removeEverything(context: ComputeContext, { prober }: { readonly prober: Prober }): Promise<void> {
  const { store, clock, cache, network, folders, config, pool, logger } = context;
  pool.close();
  prober.close();
  const statuses = (await store.list(STATUSES)).filter((status) => status.value.state !== "STOPPED");
  for (const status of statuses) await requestStop(context, status.key, TAKEN_DOWN);
  await pool.settled();
  await cache.resync();
  const failures: string[] = [];
  const attempt = async (what: string, effect: Promise<unknown>): Promise<void> => {
    try {
      await effect;
    } catch (error) {
      failures.push(`${what}: ${messageOf(error)}`);
    }
  };
  const ours = cache.sandboxes().filter((sandbox) => sandbox.labels[LABELS.instance] === config.instanceId);
  await Promise.all(ours.map((sandbox) => attempt(`sandbox ${sandbox.name}`, removeSandbox(context, sandbox))));
  const attachments = (await network.list()).filter((each) => workloadOfOwner(each.owner) !== undefined);
  await Promise.all(attachments.map((each) => attempt(`attachment ${each.attachmentId}`, network.detach(each.attachmentId))));
  const left = await folders.list();
  await Promise.all([
    ...left.workloads.map((id) => attempt(`folder ${id}`, folders.removeWorkload(id))),
    ...left.sandboxes.map((name) => attempt(`folder ${name}`, folders.removeSandbox(name))),
    ...left.keptLogs.map((id) => attempt(`logs of ${id}`, folders.removeKeptLogs(id))),
  ]);
  for (const failure of failures) logger.error(`could not be removed: ${failure}`);
  if (failures.length > 0) throw new Problem("unavailable", `not everything could be removed: ${failures.join("; ")}`);
  for (const { key, value } of statuses) {
    const nowMs = clock.nowMs();
    const stored = await store.get(WORKLOADS, key);
    const status: WorkloadStatus = {
      ...value,
      state: "STOPPED",
      desired: "STOPPED",
      ...(stored?.value.stop !== undefined && { stop: { code: stored.value.stop.code, reason: stored.value.stop.reason } }),
      containers: value.containers.map((container) => ({
        ...container,
        state: "STOPPED",
        ready: false,
        ...(container.state === "RUNNING" && { exitCode: 137, finishedAtMs: nowMs }),
      })),
      stoppingAtMs: value.stoppingAtMs ?? nowMs,
      executionStoppedAtMs: value.executionStoppedAtMs ?? nowMs,
      stoppedAtMs: nowMs,
      version: value.version + 1,
      timeline: [...value.timeline, { phase: "STOPPED", atMs: nowMs }],
    };
    const writes: Write[] = [{ op: "put", collection: STATUSES, key, value: status }];
    if ((await store.get(PLACEMENTS, key)) !== undefined) writes.push({ op: "delete", collection: PLACEMENTS, key });
    await store.transact(writes);
  }
}
