import { isProblem } from "../../../core/problem.ts";
import { keySet } from "../access/issuer.ts";
import { clusterArn, issuerOf } from "../names.ts";
import type { RoleCredentials, TrustedBy } from "../ports.ts";
import { CLUSTER_SECRETS, CLUSTERS, type ClusterRecord, POD_IDENTITIES, type PodIdentityAssociationRecord, recordPrefix } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { externalIdOf, type PodClaims, readClaims, sessionNameOf, sessionTags } from "./rules.ts";

const AUDIENCE = "pods.eks.amazonaws.com";
/** They are issued anew for who asks later than this before their end. */
const FRESH_MS = 15 * 60_000;
const MAX_KEPT = 10_000;

/** As the agent of EKS Pod Identity answers: credentials, or a status with a reason. */
export type PodCredentialsAnswer = { readonly status: number; readonly body: unknown };

/** The pod that asks, as the compute layer knows it by its address. */
export interface AskingPod {
  readonly clusterKey: string;
  readonly podUid: string;
}

export interface PodIdentityAgent {
  /** The credentials of a pod's association, by the token of its service account: AssumeRoleForPodIdentity. */
  credentials(pod: AskingPod, token: string): Promise<PodCredentialsAnswer>;
}

export function createPodIdentityAgent(room: EksRoom): PodIdentityAgent {
  const issued = new Map<string, RoleCredentials>();
  return {
    async credentials(pod, token) {
      const proven = await prove(room, pod, token);
      if ("fault" in proven) return refuse(proven.code, proven.fault);
      const { cluster, claims, association } = proven;
      const key = [association.id, association.modifiedAtMs, claims.pod.uid].join("/");
      const kept = issued.get(key);
      if (kept !== undefined && kept.expirationMs - room.clock.nowMs() > FRESH_MS) return { status: 200, body: bodyOf(kept) };
      try {
        const made = await assume(room, { cluster, claims, association });
        issued.delete(key);
        if (issued.size >= MAX_KEPT) issued.delete(issued.keys().next().value ?? "");
        issued.set(key, made);
        return { status: 200, body: bodyOf(made) };
      } catch (error) {
        if (!isProblem(error, "invalid", "not-found")) throw error;
        room.logger.info(`EKS cluster ${cluster.name}: no credentials for pod ${claims.namespace}/${claims.pod.name}: ${error.message}`);
        return refuse("AccessDeniedException", error.message);
      }
    },
  };
}

interface Proven {
  readonly cluster: ClusterRecord;
  readonly claims: PodClaims;
  readonly association: PodIdentityAssociationRecord;
}

/** A token counts at the address of the pod that it is bound to, and nowhere else. */
async function prove(room: EksRoom, pod: AskingPod, token: string): Promise<Proven | { readonly code: string; readonly fault: string }> {
  const [found, secrets] = await Promise.all([room.store.get(CLUSTERS, pod.clusterKey), room.store.get(CLUSTER_SECRETS, pod.clusterKey)]);
  if (found === undefined || secrets === undefined) return { code: "ResourceNotFoundException", fault: "the pod's cluster is not there any more" };
  const cluster = found.value;
  if (token === "") return { code: "InvalidTokenException", fault: "the header Authorization holds no token" };
  // The library is loaded with the first such token.
  const { createLocalJWKSet, errors, jwtVerify } = await import("jose");
  try {
    const options = { issuer: issuerOf(cluster), audience: AUDIENCE, algorithms: ["RS256"], currentDate: new Date(room.clock.nowMs()) };
    const { payload } = await jwtVerify(token, createLocalJWKSet(keySet(secrets.value)), options);
    const read = readClaims(payload);
    if ("fault" in read) return { code: "InvalidTokenException", fault: read.fault };
    const { claims } = read;
    if (claims.pod.uid !== pod.podUid) return { code: "AccessDeniedException", fault: "the token is another pod's" };
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

async function assume(room: EksRoom, { cluster, claims, association }: Proven): Promise<RoleCredentials> {
  const { roles } = room.ports;
  const sessionName = sessionNameOf(cluster, claims, room.ids.uuid());
  const tags = association.hasSessionTags ? sessionTags(cluster, claims) : [];
  const by: TrustedBy = { service: AUDIENCE, sourceArn: clusterArn(cluster), sourceAccount: cluster.account };
  const first = await roles.assume({ roleArn: association.roleArn, sessionName, tags, by });
  const { targetRoleArn: target } = association;
  if (target === undefined) return first;
  return roles.assume({ roleArn: target, sessionName, tags, by: { roleArn: association.roleArn, externalId: externalIdOf(association) } });
}

function bodyOf({ accessKeyId, secretAccessKey, sessionToken, accountId, expirationMs }: RoleCredentials): unknown {
  return {
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    AccountId: accountId,
    Expiration: new Date(expirationMs).toISOString(),
  };
}

function refuse(code: string, message: string): PodCredentialsAnswer {
  return { status: code === "ResourceNotFoundException" ? 404 : 400, body: { code, message } };
}
