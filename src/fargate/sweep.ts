import type { RuntimeContainer, Sandbox } from "../contracts/container-runtime.ts";
import { isProblem } from "../core/problem.ts";
import type { ComputeContext } from "./compute-context.ts";
import { LABELS, PLACEMENTS, STATUSES } from "./records.ts";
import { workloadOfOwner } from "./run-container.ts";
import { cgroupParentOf } from "./sandbox-pool.ts";

export interface SweepFacts {
  readonly instanceId: string;
  /** Names of the sandboxes that somebody has: those of the placements there are, and the warm pool's. */
  readonly placed: ReadonlySet<string>;
  /** Ids of the workloads that have not stopped. */
  readonly active: ReadonlySet<string>;
  /** Ids of all that have not been destroyed. */
  readonly known: ReadonlySet<string>;
  readonly sandboxes: readonly Sandbox[];
  readonly containers: readonly RuntimeContainer[];
  /** Names of the instance's sandbox cgroups. One outlives a sandbox whose making was cut off. */
  readonly groups: readonly string[];
  readonly attachments: readonly { readonly attachmentId: string; readonly owner: string }[];
  readonly folders: { readonly workloads: readonly string[]; readonly sandboxes: readonly string[]; readonly keptLogs: readonly string[] };
  /** Whether a sandbox that nobody owns is fit for the warm pool. */
  readonly adoptable: (sandbox: Sandbox) => boolean;
}

export interface SweepPlan {
  readonly adopt: readonly Sandbox[];
  readonly removeSandboxes: readonly Sandbox[];
  readonly removeGroups: readonly string[];
  readonly detach: readonly string[];
  readonly removeWorkloadFolders: readonly string[];
  readonly removeSandboxFolders: readonly string[];
  readonly removeKeptLogs: readonly string[];
}

/** What of this instance nobody owns any more; what is not this instance's is never in it. Pure. */
export function planSweep(facts: SweepFacts): SweepPlan {
  const inhabited = new Set(facts.containers.map((container) => container.sandboxId));
  const ours = facts.sandboxes.filter((sandbox) => sandbox.labels[LABELS.instance] === facts.instanceId);
  const ownerless = ours.filter((sandbox) => !facts.placed.has(sandbox.name));
  const adopt = ownerless.filter((sandbox) => !inhabited.has(sandbox.id) && facts.adoptable(sandbox));
  const kept = new Set([...facts.placed, ...adopt.map((sandbox) => sandbox.name)]);
  // Those of the sandboxes that are removed go with them.
  const present = new Set(ours.map((sandbox) => sandbox.name));
  return {
    adopt,
    removeSandboxes: ownerless.filter((sandbox) => !adopt.includes(sandbox)),
    removeGroups: facts.groups.filter((name) => !kept.has(name) && !present.has(name)),
    detach: facts.attachments
      .filter(({ owner }) => !facts.active.has(workloadOfOwner(owner) ?? "") && workloadOfOwner(owner) !== undefined)
      .map((each) => each.attachmentId),
    removeWorkloadFolders: facts.folders.workloads.filter((id) => !facts.active.has(id)),
    removeSandboxFolders: facts.folders.sandboxes.filter((name) => !kept.has(name)),
    removeKeptLogs: facts.folders.keptLogs.filter((id) => !facts.known.has(id)),
  };
}

/** What is there at this moment. What owns is read after what is owned, so that nothing new looks ownerless. */
export async function lookForLeftovers(context: ComputeContext, options: Pick<SweepFacts, "adoptable">): Promise<SweepFacts> {
  const { config, store, cache, runtime, network, folders, pool } = context;
  const [sandboxes, containers] = [cache.sandboxes(), cache.containers()];
  const [groups, attachments, left] = await Promise.all([runtime.listGroups(`/tidegate-${config.instanceId}`), network.list(), folders.list()]);
  // A name leaves the pool only once its placement is stored.
  const pooled = pool.names();
  const [statuses, placements] = await Promise.all([store.list(STATUSES), store.list(PLACEMENTS)]);
  return {
    instanceId: config.instanceId,
    placed: new Set([...placements.map((placement) => placement.value.sandboxName), ...pooled]),
    active: new Set(statuses.flatMap(({ key, value }) => (value.state === "STOPPED" ? [] : [key]))),
    known: new Set(statuses.map(({ key }) => key)),
    sandboxes,
    containers,
    groups,
    attachments,
    folders: left,
    ...options,
  };
}

/** Carries a sweep out. What cannot be removed now is logged, and found again by the next sweep. */
export async function sweep(context: ComputeContext, plan: SweepPlan): Promise<void> {
  const { logger, network, folders, pool, runtime, config } = context;
  for (const sandbox of plan.adopt) pool.adopt(sandbox);
  const removals = [
    ...plan.removeSandboxes.map((sandbox) => ({ what: `sandbox ${sandbox.name}`, remove: () => removeSandbox(context, sandbox) })),
    ...plan.removeGroups.map((name) => ({ what: `cgroup ${name}`, remove: () => runtime.removeGroup(cgroupParentOf(config.instanceId, name)) })),
    ...plan.detach.map((id) => ({ what: `attachment ${id}`, remove: () => network.detach(id) })),
    ...plan.removeWorkloadFolders.map((id) => ({ what: `the folder of workload ${id}`, remove: () => folders.removeWorkload(id) })),
    ...plan.removeSandboxFolders.map((name) => ({ what: `the folder of sandbox ${name}`, remove: () => folders.removeSandbox(name) })),
    ...plan.removeKeptLogs.map((id) => ({ what: `the kept logs of workload ${id}`, remove: () => folders.removeKeptLogs(id) })),
  ];
  if (removals.length > 0) logger.info(`sweeping ${removals.length} leftovers that nobody owns`);
  await Promise.all(
    removals.map(({ what, remove }) => remove().catch((error: unknown) => logger.warn(`${what} could not be swept`, { err: error }))),
  );
}

/** A sandbox with all that is in it and its cgroup. */
export async function removeSandbox({ cache, runtime, config }: ComputeContext, sandbox: Sandbox): Promise<void> {
  await Promise.all(cache.containersOf(sandbox.id).map((container) => runtime.removeContainer(container.id)));
  await runtime.stopSandbox(sandbox.id);
  await runtime.removeSandbox(sandbox.id);
  cache.forgetSandbox(sandbox.id);
  await runtime.removeGroup(cgroupParentOf(config.instanceId, sandbox.name)).catch((error: unknown) => {
    if (!isProblem(error, "conflict")) throw error;
  });
}
