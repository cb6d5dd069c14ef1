import type { WorkloadView } from "./engine.ts";

/** What a hook answers: done, or ask again later (the controller also asks again when it is woken). */
export type HookResult = { readonly done: true } | { readonly done: false; readonly retryAfterMs?: number; readonly waitingFor: string };

export const HOOK_DONE: HookResult = { done: true };

/**
 * Takes part in a workload's life. Level-triggered: each step is called until it is done, maybe again after a restart, and must be
 * idempotent. A Problem thrown in `prestart` or `poststart` fails the workload with the message as its reason; in `stop` it is retried.
 */
export interface TaskHook {
  readonly name: string;
  /** Asks again for a workload before its `retryAfterMs` is over (a target has drained): called once at start; dispose the answer to stop. */
  sources?(wake: (workloadId: string) => void): Disposable;
  /** In PROVISIONING, after the address is known and before any container is made. */
  prestart?(view: WorkloadView): Promise<HookResult>;
  /** In ACTIVATING, once all containers are started; RUNNING comes after it. */
  poststart?(view: WorkloadView): Promise<HookResult>;
  /** In DEACTIVATING, before any container gets its stop signal (drain a load balancer). */
  prestop?(view: WorkloadView): Promise<HookResult>;
  /** In DEPROVISIONING, after all containers have ended. Called for failed starts too. */
  stop?(view: WorkloadView): Promise<HookResult>;
}
