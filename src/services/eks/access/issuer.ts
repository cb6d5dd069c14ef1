import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { FastifyPluginAsync } from "fastify";
import type { JSONWebKeySet } from "jose";
import type { Store } from "../../../contracts/store.ts";
import { issuerOf } from "../names.ts";
import { CLUSTER_SECRETS, CLUSTERS, type ClusterRecord, type ClusterSecrets } from "../records.ts";
import { type ServiceAccountKeys, verifyingKeys } from "./service-account-keys.ts";

/** Clusters as issuers of service accounts' tokens. */
export interface ClusterIssuers {
  /** The keys that verify tokens of an issuer (a URL); `undefined` where it is no cluster's of this Tidegate. */
  keysOf(issuer: string): Promise<JSONWebKeySet | undefined>;
}

export function createClusterIssuers(store: Store): ClusterIssuers {
  return {
    async keysOf(issuer) {
      const found = (await store.list(CLUSTERS)).find(({ value }) => issuerOf(value) === issuer);
      const secrets = found === undefined ? undefined : await store.get(CLUSTER_SECRETS, found.key);
      return secrets === undefined ? undefined : keySet(secrets.value);
    },
  };
}

/**
 * The discovery document and the keys of each cluster's issuer, at the path that the issuer's URL has, whatever the host: for who comes here by
 * Tidegate's own endpoint, and for who resolves the issuer's name to it.
 * Differs: by HTTP, as nobody could certify AWS's name for it.
 */
export function issuerPlugin(store: Store): FastifyPluginAsync {
  return async (app) => {
    const answer = (path: string, contentType: string, bodyOf: (cluster: ClusterRecord, secrets: ClusterSecrets) => unknown): void => {
      app.get<{ Params: { readonly id: string } }>(`/id/:id/${path}`, async ({ params }, reply) => {
        const found = (await store.list(CLUSTERS)).find(({ value }) => value.oidcId === params.id);
        const secrets = found === undefined ? undefined : await store.get(CLUSTER_SECRETS, found.key);
        if (found === undefined || secrets === undefined) return reply.code(404).send({ message: "there is no EKS cluster with this OIDC issuer" });
        void reply.header("cache-control", "public, max-age=3600").header("content-type", contentType);
        return reply.send(JSON.stringify(bodyOf(found.value, secrets.value)));
      });
    };
    answer(".well-known/openid-configuration", "application/json", discoveryDocument);
    answer("keys", "application/jwk-set+json", (_cluster, secrets) => keySet(secrets));
  };
}

/** As AWS serves it. Pure. */
export function discoveryDocument(cluster: ClusterRecord): unknown {
  const issuer = issuerOf(cluster);
  return {
    issuer,
    jwks_uri: `${issuer}/keys`,
    authorization_endpoint: "urn:kubernetes:programmatic_authorization",
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
    claims_supported: ["sub", "iss"],
  };
}

/** The public parts of what signs service accounts' tokens, and of what signed them before. Pure. */
export function keySet(keys: ServiceAccountKeys): JSONWebKeySet {
  return {
    keys: verifyingKeys(keys).map((pem) => {
      const key = createPublicKey(pem);
      return { ...key.export({ format: "jwk" }), kid: keyId(key), alg: "RS256", use: "sig" };
    }),
  };
}

/** As Kubernetes names a key in tokens' headers. */
function keyId(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");
}
