import type { Clock } from "../core/clock.ts";
import type { RoleCredentialFields, RoleCredentials } from "./ports.ts";

/** Renewed when less than this is left. */
const RENEW_BEFORE_MS = 15 * 60_000;

/** A task role's credentials for each workload, kept until near their expiry; callers at the same time share one issue. */
export class CredentialsCache {
  readonly #credentials: RoleCredentials;
  readonly #clock: Clock;
  readonly #held = new Map<string, { readonly expiresAtMs: number; readonly lifeMs: number; readonly fields: RoleCredentialFields }>();
  readonly #issuing = new Map<string, Promise<RoleCredentialFields>>();

  constructor(options: { readonly credentials: RoleCredentials; readonly clock: Clock }) {
    this.#credentials = options.credentials;
    this.#clock = options.clock;
  }

  /** @throws what the issuer throws, when nothing valid is held. */
  async get(workloadId: string, roleArn: string): Promise<RoleCredentialFields> {
    const held = this.#held.get(workloadId);
    // Of short-lived ones, a quarter of their life.
    if (held !== undefined && held.fields.RoleArn === roleArn) {
      const leftMs = held.expiresAtMs - this.#clock.nowMs();
      if (leftMs > Math.min(RENEW_BEFORE_MS, held.lifeMs / 4)) return held.fields;
    }
    const under = this.#issuing.get(workloadId);
    if (under !== undefined) return under;
    const issue = this.#issue(workloadId, roleArn).finally(() => this.#issuing.delete(workloadId));
    this.#issuing.set(workloadId, issue);
    return issue;
  }

  delete(workloadId: string): void {
    this.#held.delete(workloadId);
  }

  async #issue(workloadId: string, roleArn: string): Promise<RoleCredentialFields> {
    const nowMs = this.#clock.nowMs();
    const fields = await this.#credentials.issue(roleArn, workloadId);
    const expiresAtMs = Date.parse(fields.Expiration);
    this.#held.set(workloadId, { fields, expiresAtMs, lifeMs: expiresAtMs - nowMs });
    return fields;
  }
}
