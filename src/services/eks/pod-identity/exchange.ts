import { keySet } from "../access/issuer.ts";
import { clusterArn, issuerOf } from "../names.ts";
import type { RoleCredentials, TrustedBy } from "../ports.ts";
import { CLUSTER_SECRETS, CLUSTERS, type ClusterRecord, POD_IDENTITIES, type PodIdentityAssociationRecord, recordPrefix } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { externalIdOf, type PodClaims, readClaims, sessionNameOf, sessionTags } from "./rules.ts";

/** Whom the tokens are for that pods exchange. */
export const POD_IDENTITY_AUDIENCE = "pods.eks.amazonaws.com";

export interface ProvenToken {
  readonly cluster: ClusterRecord;
  readonly claims: PodClaims;
  readonly association: PodIdentityAssociationRecord;
}

/** Why a token is worth nothing: EKS Auth's code, and words. */
export interface TokenFault {
  readonly code: "AccessDeniedException" | "ExpiredTokenException" | "InvalidTokenException" | "ResourceNotFoundException";
  readonly fault: string;
}

/** Whose token of this cluster it is, and which association that pod has. Where the pod that asks is known, the token must be its own. */
export async function proveToken(
  room: EksRoom,
  asking: { readonly clusterKey: string; readonly podUid?: string },
  token: string,
): Promise<ProvenToken | TokenFault> {
  const { clusterKey, podUid } = asking;
  const [found, secrets] = await Promise.all([room.store.get(CLUSTERS, clusterKey), room.store.get(CLUSTER_SECRETS, clusterKey)]);
  if (found === undefined || secrets === undefined) return { code: "ResourceNotFoundException", fault: "the pod's cluster is not there any more" };
  const cluster = found.value;
  if (token === "") return { code: "InvalidTokenException", fault: "the header Authorization holds no token" };
  // The library is loaded with the first such token.
  const { createLocalJWKSet, errors, jwtVerify } = await import("jose");
  try {
    const options = { issuer: issuerOf(cluster), audience: POD_IDENTITY_AUDIENCE, algorithms: ["RS256"], currentDate: new Date(room.clock.nowMs()) };
    const { payload } = await jwtVerify(token, createLocalJWKSet(keySet(secrets.value)), options);
    const read = readClaims(payload);
    if ("fault" in read) return { code: "InvalidTokenException", fault: read.fault };
    const { claims } = read;
    if (podUid !== undefined && claims.pod.uid !== podUid) return { code: "AccessDeniedException", fault: "the token is another pod's" };
    const associations = await room.store.list(POD_IDENTITIES, { prefix: recordPrefix(cluster) });
    const association = associations.find(
      ({ value }) => value.namespace === claims.namespace && value.serviceAccount === claims.serviceAccount,
    )?.value;
    if (association !== undefined) return { cluster, claims, association };
    const account = `${claims.namespace}/${claims.serviceAccount}`;
    return { code: "AccessDeniedException", fault: `the service account ${account} has no Pod Identity association in cluster ${cluster.name}` };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { code: "ExpiredTokenException", fault: "the token has expired" };
    if (error instanceof errors.JOSEError) return { code: "InvalidTokenException", fault: `the token is not valid: ${error.message}` };
    throw error;
  }
}

/** A session of the association's role, by way of it of its target role. @throws Problem `not-found`, `invalid` where a trust policy does not allow it. */
export async function assumeRoleOf(room: EksRoom, { cluster, claims, association }: ProvenToken): Promise<RoleCredentials> {
  const { roles } = room.ports;
  const sessionName = sessionNameOf(cluster, claims, room.ids.uuid());
  const tags = association.hasSessionTags ? sessionTags(cluster, claims) : [];
  const by: TrustedBy = { service: POD_IDENTITY_AUDIENCE, sourceArn: clusterArn(cluster), sourceAccount: cluster.account };
  const first = await roles.assume({ roleArn: association.roleArn, sessionName, tags, by });
  const { targetRoleArn: target } = association;
  if (target === undefined) return first;
  return roles.assume({ roleArn: target, sessionName, tags, by: { roleArn: association.roleArn, externalId: externalIdOf(association) } });
}
