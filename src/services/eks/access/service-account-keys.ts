import { createPrivateKey, createPublicKey } from "node:crypto";
import type { ClusterSecrets } from "../records.ts";

/** What {@link verifyingKeys} reads. */
export type ServiceAccountKeys = Pick<ClusterSecrets, "serviceAccountKey" | "formerServiceAccountKeys">;

/** The public keys that service accounts' tokens are good by, as PEM: that of the key which signs now, then those before it. Pure. */
export function verifyingKeys({ serviceAccountKey, formerServiceAccountKeys = [] }: ServiceAccountKeys): readonly string[] {
  return [createPublicKey(createPrivateKey(serviceAccountKey)).export({ type: "spki", format: "pem" }), ...formerServiceAccountKeys];
}
