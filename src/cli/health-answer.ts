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

/** Asks a running control plane how it is. @throws when it does not answer. */
export async function readHealth(instance: KeptInstance): Promise<HealthAnswer> {
  const response = await fetch(`http://127.0.0.1:${instance.port}/healthz`);
  return (await response.json()) as HealthAnswer;
}
