import type { KeptInstance } from "../core/config.ts";

/** What `/healthz` answers. */
export interface HealthAnswer {
  readonly status: "ok" | "unhealthy";
  readonly version: string;
  readonly instanceId: string;
  /** False while it starts. */
  readonly serving: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

/** One that is there and does not answer, since its disk or its host hangs, counts as one that is not there. `fetch` itself would wait for five minutes. */
const ANSWER_MS = 5_000;

/** Asks a running control plane how it is. @throws when it does not answer within five seconds, or before `signal`. */
export async function readHealth(instance: KeptInstance, signal?: AbortSignal): Promise<HealthAnswer> {
  const limit = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(`http://127.0.0.1:${instance.port}/healthz`, {
    signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
  });
  return (await response.json()) as HealthAnswer;
}
