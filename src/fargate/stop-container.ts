import type { ContainerSpec } from "../contracts/workload.ts";
import type { ComputeContext } from "./compute-context.ts";
import { runAction } from "./probe-action.ts";
import type { Unit } from "./session.ts";

export interface StopOptions {
  readonly spec: ContainerSpec;
  readonly containerId: string;
  readonly attempt: number;
  readonly graceSeconds: number;
}

/** preStop hook, stop signal, grace, SIGKILL. The hook's time and that before a restart of Tidegate are part of the grace. */
export async function stopContainer(context: ComputeContext, unit: Unit, options: StopOptions): Promise<void> {
  const { clock, runtime, cache } = context;
  const { spec, containerId } = options;
  const key = `${spec.name}/${options.attempt}`;
  const sentAtMs = unit.session.stopSentAtMs.get(key) ?? unit.placement.stopSentAtMs[key];
  const spentMs = sentAtMs === undefined ? 0 : clock.nowMs() - context.times.past(sentAtMs);
  const deadlineMs = clock.steadyMs() + options.graceSeconds * 1000 - spentMs;
  const preStop = spec.hooks?.preStop;
  if (preStop !== undefined) {
    const target = { runtime, clock, containerId, address: unit.session.network?.privateIpv4 ?? "" };
    const result = await runAction(preStop, target, Math.max(1, deadlineMs - clock.steadyMs()));
    if (!result.ok) {
      unit.session.hookFailures.set(spec.name, { attempt: options.attempt, complaint: { about: "preStop", words: result.words } });
      context.logger.warn("a preStop hook failed; the container is stopped all the same", {
        taskId: unit.session.id,
        container: spec.name,
        words: result.words,
      });
    }
    context.signal.throwIfAborted();
  }
  const graceSeconds = Math.max(0, Math.ceil((deadlineMs - clock.steadyMs()) / 1000));
  await runtime.stopContainer(containerId, { graceSeconds, signal: spec.stopSignal });
  await cache.refreshContainer(containerId);
}
