import { verifyingKeys } from "../access/service-account-keys.ts";
import { questionPath, type Question } from "../access/paths.ts";
import { UID_PREFIX } from "../access/token-review.ts";
import { AUDIT_POLICY } from "./audit-policy.ts";
import type { ClusterRecord, ClusterSecrets, Leaf } from "../records.ts";

/** Where each container finds its files. */
export const FOLDER = "/etc/kubernetes";

export interface SecretFile {
  readonly path: string;
  readonly mode: number;
  readonly value: string;
}

/** The API server's files: certificates, keys, and what its flags cannot say. JSON, which is YAML. Pure. */
export function apiServerFiles(
  cluster: ClusterRecord,
  secrets: ClusterSecrets,
  { apiUrl, authenticator }: { readonly apiUrl: string; readonly authenticator?: unknown },
): readonly SecretFile[] {
  // By HTTP, on a link that is within this host; a client of an HTTP server sends no token, so that the secret is in the path.
  const question = (name: Question): unknown => kubeconfig({ server: `${apiUrl}${questionPath(cluster.uid, secrets.reviewSecret, name)}` });
  return [
    file("ca.crt", secrets.authority.certificate),
    ...pair("api-server", secrets),
    ...pair("kubelet-client", secrets),
    ...frontProxyFiles(secrets),
    file("service-accounts.key", secrets.serviceAccountKey),
    file("service-accounts.pub", verifyingKeys(secrets).join("")),
    json("encryption.json", {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "EncryptionConfiguration",
      resources: [{ resources: ["secrets"], providers: [{ secretbox: { keys: [{ name: "1", secret: secrets.encryptionKey }] } }, { identity: {} }] }],
    }),
    // The API server takes it over as it changes. Nobody unnamed but to ask how it is.
    json("authentication.json", {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "AuthenticationConfiguration",
      ...(authenticator !== undefined && { jwt: [authenticator] }),
      anonymous: { enabled: true, conditions: ["/livez", "/readyz", "/healthz"].map((path) => ({ path })) },
    }),
    json("authorization.json", {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "AuthorizationConfiguration",
      authorizers: [
        { type: "Node", name: "node" },
        { type: "RBAC", name: "rbac" },
        { type: "Webhook", name: "eks-access-policies", webhook: accessWebhook() },
      ],
    }),
    ...(cluster.logging?.includes("audit") ? [json("audit-policy.json", AUDIT_POLICY)] : []),
    json("token-review.json", question("token-review")),
    json("access-review.json", question("access-review")),
  ];
}

function frontProxyFiles({ frontProxy }: ClusterSecrets): readonly SecretFile[] {
  if (frontProxy === undefined) return [];
  const { authority, client } = frontProxy;
  return [
    file("front-proxy-ca.crt", authority.certificate),
    file("front-proxy-client.crt", client.certificate),
    file("front-proxy-client.key", client.key),
  ];
}

/** Asked last, and only of users that came by a token of AWS's; who gets no answer has what RBAC gives. */
function accessWebhook(): unknown {
  return {
    authorizedTTL: "10s",
    unauthorizedTTL: "5s",
    timeout: "5s",
    subjectAccessReviewVersion: "v1",
    matchConditionSubjectAccessReviewVersion: "v1",
    failurePolicy: "NoOpinion",
    connectionInfo: { type: "KubeConfigFile", kubeConfigFile: `${FOLDER}/access-review.json` },
    matchConditions: [{ expression: `has(request.uid) && request.uid.startsWith('${UID_PREFIX}')` }],
  };
}

/** With the authority's key, for what nodes and users ask to be signed. Pure. */
export function controllerManagerFiles(secrets: ClusterSecrets): readonly SecretFile[] {
  return [
    file("ca.crt", secrets.authority.certificate),
    file("ca.key", secrets.authority.key),
    file("service-accounts.key", secrets.serviceAccountKey),
    ...clientFiles("controller-manager", secrets),
  ];
}

export function schedulerFiles(secrets: ClusterSecrets): readonly SecretFile[] {
  return [file("ca.crt", secrets.authority.certificate), ...clientFiles("scheduler", secrets)];
}

function clientFiles(leaf: Leaf, secrets: ClusterSecrets): readonly SecretFile[] {
  const config = kubeconfig(
    { server: "https://127.0.0.1", "certificate-authority": `${FOLDER}/ca.crt` },
    { "client-certificate": `${FOLDER}/${leaf}.crt`, "client-key": `${FOLDER}/${leaf}.key` },
  );
  return [...pair(leaf, secrets), json("kubeconfig.json", config)];
}

function kubeconfig(cluster: Readonly<Record<string, string>>, user: Readonly<Record<string, string>> = {}): unknown {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "it", cluster }],
    users: [{ name: "me", user }],
    contexts: [{ name: "it", context: { cluster: "it", user: "me" } }],
    "current-context": "it",
  };
}

function pair(leaf: Leaf, { leaves }: ClusterSecrets): readonly SecretFile[] {
  return [file(`${leaf}.crt`, leaves[leaf].certificate), file(`${leaf}.key`, leaves[leaf].key)];
}

function json(path: string, value: unknown): SecretFile {
  return file(path, `${JSON.stringify(value, null, 2)}\n`);
}

function file(path: string, value: string): SecretFile {
  return { path, mode: 0o400, value };
}
