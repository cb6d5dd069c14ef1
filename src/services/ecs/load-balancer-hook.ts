import type { WorkloadView } from "../../contracts/engine.ts";
import type { TargetRegistrar } from "../../contracts/load-balancer.ts";
import { HOOK_DONE, type TaskHook } from "../../contracts/task-hook.ts";
import { isProblem } from "../../core/problem.ts";
import { LOAD_BALANCER_HOOK, type TargetLabel } from "./compile-workload.ts";

const DRAIN_LOOK_MS = 10_000;

interface Registered extends TargetLabel {
  readonly ip: string;
}

function targetsOf(view: WorkloadView): readonly Registered[] {
  const ip = view.status.network?.privateIpv4;
  if (ip === undefined) return [];
  const labels = JSON.parse(view.workload.labels["targets"] ?? "[]") as readonly TargetLabel[];
  return labels.map((label) => ({ ...label, ip }));
}

/**
 * Puts a service's tasks into their target groups before they are RUNNING, and takes them out before any container gets its stop signal:
 * the containers go on until the load balancer has drained them. A target group that is gone holds nothing up.
 */
export function createLoadBalancerHook(registrar: TargetRegistrar): TaskHook {
  /** Who waits for which target to drain. Only to be woken early: a restart asks again by itself. */
  const waiters = new Map<string, string>();
  return {
    name: LOAD_BALANCER_HOOK,
    sources: (wake) =>
      registrar.watch((health) => {
        const waiter = waiters.get(nameOf(health));
        if (waiter !== undefined) wake(waiter);
      }),
    async poststart(view) {
      for (const { targetGroupArn, ip, port } of targetsOf(view)) await registrar.register(targetGroupArn, { ip, port });
      return HOOK_DONE;
    },
    async prestop(view) {
      const waiting: string[] = [];
      for (const target of targetsOf(view)) {
        waiters.set(nameOf(target), view.workload.id);
        if (await takeOut(registrar, target)) waiters.delete(nameOf(target));
        else waiting.push(target.targetGroupArn);
      }
      if (waiting.length === 0) return HOOK_DONE;
      return { done: false, retryAfterMs: DRAIN_LOOK_MS, waitingFor: `connections to drain in ${waiting.join(", ")}` };
    },
    // For tasks that ended by themselves or failed after their registration: their containers are gone, nothing is left to drain.
    async stop(view) {
      for (const target of targetsOf(view)) {
        waiters.delete(nameOf(target));
        await takeOut(registrar, target);
      }
      return HOOK_DONE;
    },
  };
}

const nameOf = (target: { readonly targetGroupArn: string; readonly ip: string; readonly port: number }): string =>
  `${target.targetGroupArn} ${target.ip} ${target.port}`;

/** Answers whether it is drained. */
async function takeOut(registrar: TargetRegistrar, { targetGroupArn, ip, port }: Registered): Promise<boolean> {
  try {
    if ((await registrar.health(targetGroupArn, { ip, port })) === undefined) return true;
    await registrar.deregister(targetGroupArn, { ip, port });
    return (await registrar.health(targetGroupArn, { ip, port })) === undefined;
  } catch (error) {
    if (isProblem(error, "not-found")) return true;
    throw error;
  }
}
