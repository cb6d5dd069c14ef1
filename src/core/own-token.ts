import { createHmac } from "node:crypto";

/**
 * What opens Tidegate's own endpoints (under `/_tidegate/`): made of the instance's root secret by whoever has it, so that the
 * secret itself is never sent.
 */
export function ownToken(secretAccessKey: string): string {
  return createHmac("sha256", secretAccessKey).update("tidegate own endpoints").digest("hex");
}
