import type { WorkloadView } from "../contracts/engine.ts";
import { HOOK_DONE, type TaskHook } from "../contracts/task-hook.ts";
import type { Clock } from "../core/clock.ts";
import { isProblem } from "../core/problem.ts";
import type { Elbv2 } from "./ports.ts";
import { CLUSTER_TAG } from "./names.ts";

/** Drains are looked at once a second. */
const LOOK_MS = 500;
const DEFAULT_GRACE_SECONDS = 30;

/**
 * Takes a pod that ends out of its target groups before any of its containers gets its signal, and waits, for half its grace period at most, until
 * what was under way has ended. So no request meets a server that has closed already.
 *
 * Differs: on AWS signal and deregistration run side by side, and pods need a preStop hook that sleeps.
 */
export function createDrainHook({ balancing, registrar }: Elbv2, { name, clock }: { readonly name: string; readonly clock: Clock }): TaskHook {
  /** Who waits, since when; of this run. */
  const waiting = new Map<string, { readonly ip: string; readonly sinceMs: number }>();
  return {
    name,
    sources: (wake) =>
      registrar.watch(({ ip }) => {
        for (const [id, waiter] of waiting) if (waiter.ip === ip) wake(id);
      }),
    async prestop(view) {
      const ip = view.status.network?.privateIpv4;
      if (ip === undefined) return HOOK_DONE;
      const { id } = view.workload;
      const begun = waiting.get(id) ?? { ip, sinceMs: clock.steadyMs() };
      waiting.set(id, begun);
      const open = await takeOut(balancing, view, ip);
      const isOver = clock.steadyMs() - begun.sinceMs >= (graceSeconds(view) * 1000) / 2;
      if (open.length > 0 && !isOver) return { done: false, retryAfterMs: LOOK_MS, waitingFor: `connections to drain in ${open.join(", ")}` };
      waiting.delete(id);
      return HOOK_DONE;
    },
    async stop(view) {
      waiting.delete(view.workload.id);
      const ip = view.status.network?.privateIpv4;
      if (ip !== undefined) await takeOut(balancing, view, ip);
      return HOOK_DONE;
    },
  };
}

function graceSeconds({ workload }: WorkloadView): number {
  return Math.max(0, ...workload.containers.map(({ stopTimeoutSeconds }) => stopTimeoutSeconds ?? DEFAULT_GRACE_SECONDS));
}

/** Answers the groups that it is a target of still. */
async function takeOut(balancing: Elbv2["balancing"], { workload, status }: WorkloadView, ip: string): Promise<readonly string[]> {
  const groups = (await balancing.targetGroups(workload)).filter(
    ({ vpcId, tags }) => vpcId === status.network?.vpcId && tags[CLUSTER_TAG] !== undefined,
  );
  const open: string[] = [];
  for (const { arn, name } of groups) {
    try {
      const targets = (await balancing.targetHealth(arn)).filter((health) => health.ip === ip);
      if (targets.length === 0) continue;
      open.push(name);
      const registered = targets.filter(({ state }) => state !== "draining");
      if (registered.length > 0)
        await balancing.deregisterTargets(
          arn,
          registered.map(({ port }) => ({ ip, port })),
        );
    } catch (error) {
      // The group went meanwhile.
      if (!isProblem(error, "not-found")) throw error;
    }
  }
  return open;
}
