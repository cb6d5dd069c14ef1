import type { Principal } from "../../../contracts/service.ts";
import { canonicalArn } from "../names.ts";
import type { AccessEntryRecord, ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { entryFor } from "./entries.ts";
import { readToken } from "./token.ts";

/** Users that come by a token of AWS's have a uid that begins so, and nobody else has: whoever acts as another has none. */
export const UID_PREFIX = "aws-iam-authenticator:";

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
  const { principal } = caller;
  const entry = await entryFor(room.store, cluster, canonicalArn(principal.arn));
  const user = mapUser(cluster, { principal, entry });
  return user === undefined ? { fault: `identity is not mapped: ${principal.arn} has no access to cluster ${cluster.name}` } : { user };
}

/**
 * The cluster's user for an identity: by its access entry; where the cluster goes by its ConfigMap alone, its creator is the administrator. Pure.
 * Differs: the ConfigMap aws-auth is not read yet.
 */
export function mapUser(
  cluster: ClusterRecord,
  { principal, entry }: { readonly principal: Principal; readonly entry: AccessEntryRecord | undefined },
): KubernetesUser | undefined {
  const canonical = canonicalArn(principal.arn);
  const isAdministrator = cluster.authenticationMode === "CONFIG_MAP" && cluster.creatorIsAdmin && canonical === cluster.creatorArn;
  if (entry === undefined && !isAdministrator) return undefined;
  const [principalId = "", sessionName = ""] = principal.userId.split(":");
  const [, account = ""] = /^arn:[^:]+:iam::(\d+):/.exec(canonical) ?? [];
  const values: Readonly<Record<string, string>> = {
    AccountID: account,
    SessionName: sessionName.replaceAll("@", "-"),
    SessionNameRaw: sessionName,
    AccessKeyID: principal.accessKeyId,
  };
  return {
    username: entry === undefined ? "kubernetes-admin" : entry.username.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole),
    uid: `${UID_PREFIX}${account}:${principalId}`,
    groups: entry === undefined ? ["system:masters"] : entry.groups,
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
