import type { WorkloadView } from "../contracts/engine.ts";
import { messageOf, Problem } from "../core/problem.ts";
import type { ComputeContext } from "./compute-context.ts";
import type { EffectResult } from "./effects.ts";
import { failedToStart } from "./reasons.ts";
import type { Session } from "./session.ts";

export type HookStep = "prestart" | "poststart" | "prestop" | "stop";

/** Of a hook that waits for something and names no delay: it is expected to be woken. */
const DEFAULT_RETRY_MS = 10_000;

/** Whether any hook of the workload has this step. */
export function hasHook(context: ComputeContext, view: WorkloadView, step: HookStep): boolean {
  return view.workload.hooks.some((name) => context.hooks.get(name)?.[step] !== undefined);
}

/**
 * Runs one step of the workload's hooks, in their order; done when all are. A Problem in `prestart` and `poststart` fails the workload,
 * whatever is thrown in the others is tried again.
 */
export async function runHooks(context: ComputeContext, session: Session, step: HookStep, view: WorkloadView): Promise<EffectResult> {
  const mayFail = step === "prestart" || step === "poststart";
  for (const name of view.workload.hooks) {
    const hook = context.hooks.get(name);
    if (hook === undefined) {
      if (mayFail) session.failure ??= failedToStart(`ResourceInitializationError: there is no task hook named ${name}`);
      else context.logger.warn("a task hook of a workload is not registered; its step is left out", { taskId: session.id, hook: name, step });
      continue;
    }
    try {
      const result = await hook[step]?.(view);
      if (result !== undefined && !result.done) return { againAfterMs: result.retryAfterMs ?? DEFAULT_RETRY_MS };
    } catch (error) {
      if (!mayFail || !(error instanceof Problem)) throw error;
      session.failure ??= failedToStart(messageOf(error));
      return undefined;
    }
  }
  session.hooksDone[step] = true;
  return undefined;
}
