import type { Principal } from "../../../contracts/service.ts";
import { canonicalArn } from "../names.ts";
import type { AccessEntryRecord, ClusterRecord } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { type AwsAuth, mappingFor } from "./aws-auth.ts";
import { entryFor } from "./entries.ts";
import { awsAuthOf } from "./identity-map.ts";
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
  const [entry, awsAuth] = await Promise.all([entryFor(room.store, cluster, canonicalArn(principal.arn)), awsAuthOf(room.store, cluster)]);
  return mapUser(cluster, { principal, entry, awsAuth });
}

interface Identity {
  readonly principal: Principal;
  readonly entry: AccessEntryRecord | undefined;
  readonly awsAuth: AwsAuth;
}

/**
 * The cluster's user for an identity: by its access entry, else by the ConfigMap aws-auth; where the cluster goes by that alone, its creator is
 * the administrator whatever it says. Pure.
 */
export function mapUser(cluster: ClusterRecord, { principal, entry, awsAuth }: Identity): Review {
  const canonical = canonicalArn(principal.arn);
  const isAdministrator = cluster.authenticationMode === "CONFIG_MAP" && cluster.creatorIsAdmin && canonical === cluster.creatorArn;
  const mapping = isAdministrator ? ADMINISTRATOR : (entry ?? mappingFor(awsAuth, canonical));
  if (mapping === undefined) return { fault: `identity is not mapped: ${principal.arn} has no access to cluster ${cluster.name}` };
  const [principalId = "", sessionName = ""] = principal.userId.split(":");
  const [, account = ""] = /^arn:[^:]+:(?:iam|sts)::(\d+):/.exec(canonical) ?? [];
  const values: Readonly<Record<string, string>> = {
    AccountID: account,
    SessionName: sessionName.replaceAll("@", "-"),
    SessionNameRaw: sessionName,
    AccessKeyID: principal.accessKeyId,
  };
  const texts = [mapping.username, ...mapping.groups];
  if (texts.some((text) => text.includes("{{EC2PrivateDNSName}}"))) {
    return { fault: `${principal.arn} is mapped as a node, by {{EC2PrivateDNSName}}: there are no EC2 instances, so that nobody has that name` };
  }
  const [username = "", ...groups] = texts.map((text) => text.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => values[name] ?? whole));
  const user: KubernetesUser = {
    username,
    uid: `${UID_PREFIX}${account}:${principalId}`,
    groups,
    extra: {
      arn: [principal.arn],
      canonicalArn: [canonical],
      sessionName: [sessionName],
      accessKeyId: [principal.accessKeyId],
      principalId: [principalId],
      "sigs.k8s.io/aws-iam-authenticator/principalId": [principalId],
    },
  };
  return { user };
}

/** Whom AWS maps so, for a creator, in no ConfigMap. */
const ADMINISTRATOR = { username: "kubernetes-admin", groups: ["system:masters"] };

/** The answer as `authentication.k8s.io/v1` has it. Pure. */
export function tokenReviewAnswer(review: Review): unknown {
  const status = "user" in review ? { authenticated: true, user: review.user } : { authenticated: false, error: review.fault };
  return { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status };
}
