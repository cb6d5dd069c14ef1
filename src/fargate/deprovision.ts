import type { WorkloadView } from "../contracts/engine.ts";
import type { ComputeContext } from "./compute-context.ts";
import type { EffectResult } from "./effects.ts";
import { finishLog, isFollowed } from "./run-container.ts";
import { runHooks } from "./run-hooks.ts";
import type { Unit } from "./session.ts";

/** Takes away all that a workload had, once nothing of it runs: the rest of its logs is stored first. Idempotent. */
export async function deprovision(context: ComputeContext, unit: Unit, view: WorkloadView): Promise<EffectResult> {
  const { session, placement, record } = unit;
  const { cache, network, runtime, folders } = context;
  await finishLogs(context, unit);
  if (!session.hooksDone.stop) {
    const result = await runHooks(context, session, "stop", view);
    if (result !== undefined) return result;
  }
  context.signal.throwIfAborted();
  const sandbox = cache.sandboxNamed(placement.sandboxName);
  const removeSandbox = async (): Promise<void> => {
    if (sandbox === undefined) return;
    await Promise.all(cache.containersOf(sandbox.id).map((container) => runtime.removeContainer(container.id)));
    await runtime.stopSandbox(sandbox.id);
    await runtime.removeSandbox(sandbox.id);
    cache.forgetSandbox(sandbox.id);
  };
  const { attachmentId, kept } = record.workload.network;
  await Promise.all([removeSandbox(), kept === true ? network.unplug(attachmentId) : network.detach(attachmentId)]);
  // Its sandbox is gone: what is left there was cut off in its making, and would hold the task's end up for ever.
  await runtime.removeGroup(placement.cgroupParent, { endsProcesses: true });
  const logged = record.workload.containers.flatMap(({ name, log }) => (log.type === "file" ? [name] : []));
  if (logged.length > 0) await folders.keepLogs(placement.sandboxName, record.workload.id, logged);
  await Promise.all([folders.removeWorkload(record.workload.id), folders.removeSandbox(placement.sandboxName)]);
  session.deprovisioned = true;
  return undefined;
}

/** Of each attempt that ran: those that are there still, and the last that the store knows of. */
async function finishLogs(context: ComputeContext, unit: Unit): Promise<void> {
  const { record, placement, status } = unit;
  const sandbox = context.cache.sandboxNamed(placement.sandboxName);
  const present = sandbox === undefined ? [] : context.cache.containersOf(sandbox.id);
  const attempts = record.workload.containers.flatMap((spec) => {
    if (!isFollowed(spec.log)) return [];
    const stored = status.containers.find((container) => container.name === spec.name);
    const there = present.filter((container) => container.name === spec.name).map((container) => container.attempt);
    if (stored?.startedAtMs !== undefined) there.push(stored.restartCount);
    return [...new Set(there)].map((attempt) => ({ spec, attempt }));
  });
  await Promise.all(attempts.map((attempt) => finishLog(context, unit, attempt)));
}
