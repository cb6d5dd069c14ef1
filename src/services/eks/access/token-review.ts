import type { Principal } from "../../../contracts/service.ts";
import { canonicalArn } from "../names.ts";
import type { ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { readToken } from "./token.ts";

/** Where an API server asks whose a token is; the secret is the cluster's. */
export function tokenReviewPath(uid: string, secret: string): string {
  return `/_tidegate/eks/${uid}/${secret}/token-review`;
}

/** Who somebody is inside the cluster. */
export interface KubernetesUser {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export type Review = { readonly user: KubernetesUser } | { readonly fault: string };

/** Whose a token is, in this cluster. Only a checked signature of a key that is good now, of somebody whom the cluster knows, gives a user. */
export async function reviewToken(room: EksRoom, cluster: ClusterRecord, token: string): Promise<Review> {
  const nowMs = room.clock.nowMs();
  const read = readToken(token, { clusterName: cluster.name, region: cluster.region, ownHosts: room.ownHosts, nowMs });
  if ("fault" in read) return { fault: `input token was not properly formatted: ${read.fault}` };
  const caller = await room.ports.callers.verify(read.get);
  if (caller === undefined) return { fault: "sts getCallerIdentity failed: the signature does not hold" };
  const user = caller.account === cluster.account ? mapUser(cluster, caller.principal) : undefined;
  return user === undefined ? { fault: `identity is not mapped: ${caller.principal.arn} has no access to cluster ${cluster.name}` } : { user };
}

/**
 * The cluster's user for an identity: its creator alone. Pure.
 * Differs: access entries and the ConfigMap aws-auth are not read yet.
 */
export function mapUser(cluster: ClusterRecord, principal: Principal): KubernetesUser | undefined {
  const canonical = canonicalArn(principal.arn);
  if (!cluster.creatorIsAdmin || canonical !== cluster.creatorArn) return undefined;
  const [principalId = "", sessionName = ""] = principal.userId.split(":");
  return {
    username: "kubernetes-admin",
    uid: `aws-iam-authenticator:${cluster.account}:${principalId}`,
    groups: ["system:masters"],
    extra: {
      arn: [principal.arn],
      canonicalArn: [canonical],
      sessionName: [sessionName],
      accessKeyId: [principal.accessKeyId],
      principalId: [principalId],
      "sigs.k8s.io/aws-iam-authenticator/principalId": [principalId],
    },
  };
}

/** The answer as `authentication.k8s.io/v1` has it. Pure. */
export function tokenReviewAnswer(review: Review): unknown {
  const status = "user" in review ? { authenticated: true, user: review.user } : { authenticated: false, error: review.fault };
  return { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status };
}
