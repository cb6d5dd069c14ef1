import type { ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { isAllowed, type AccessRequest } from "./authorize.ts";
import { entryFor } from "./entries.ts";
import { UID_PREFIX } from "./token-review.ts";

/** `spec` of a SubjectAccessReview. */
export interface AccessReviewSpec extends AccessRequest {
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Whether the access policies of who asks allow it, as they are now. Nobody is forbidden anything by it. */
export async function reviewAccess(room: EksRoom, cluster: ClusterRecord, spec: AccessReviewSpec): Promise<boolean> {
  if (spec.uid?.startsWith(UID_PREFIX) !== true) return false;
  // API servers pass names of extras on in lower case.
  const [, arns] = Object.entries(spec.extra ?? {}).find(([name]) => name.toLowerCase() === "canonicalarn") ?? [];
  const entry = arns?.[0] === undefined ? undefined : await entryFor(room.store, cluster, arns[0]);
  return entry !== undefined && isAllowed(entry.policies, spec);
}

/** The answer as `authorization.k8s.io/v1` has it: yes, or no opinion. Pure. */
export function accessReviewAnswer(allowed: boolean): unknown {
  const reason = allowed ? { reason: "allowed by an access policy of EKS" } : {};
  return { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", status: { allowed, ...reason } };
}
