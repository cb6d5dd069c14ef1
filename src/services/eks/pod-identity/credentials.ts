import { isProblem } from "../../../core/problem.ts";
import type { RoleCredentials } from "../ports.ts";
import type { EksRoom } from "../room.ts";
import { assumeRoleOf, proveToken } from "./exchange.ts";

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
      const proven = await proveToken(room, pod, token);
      if ("fault" in proven) return refuse(proven.code, proven.fault);
      const { cluster, claims, association } = proven;
      const key = [association.id, association.modifiedAtMs, claims.pod.uid].join("/");
      const kept = issued.get(key);
      if (kept !== undefined && kept.expirationMs - room.clock.nowMs() > FRESH_MS) return { status: 200, body: bodyOf(kept) };
      try {
        const made = await assumeRoleOf(room, proven);
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
