import { serviceAddress } from "../cluster-rules.ts";
import { verifyingKeys } from "../access/service-account-keys.ts";
import { API_SERVER_AT_NODES, FRONT_PROXY_CLIENT } from "../names.ts";
import { type ClusterRecord, type ClusterSecrets, type Leaf, LEAVES } from "../records.ts";
import { createAuthority, createServiceAccountKey, issueLeaf, leafEndMs, type LeafSubject, type Tools } from "./pki.ts";

/** All that a new cluster's control plane needs to keep to itself. `address`: its API server's. */
export async function createSecrets(cluster: ClusterRecord, address: string, tools: Tools): Promise<ClusterSecrets> {
  const authority = await createAuthority("kubernetes", tools);
  return {
    authority,
    ...(await issueLeaves(cluster, { authority, address }, tools)),
    serviceAccountKey: createServiceAccountKey(),
    encryptionKey: Buffer.from(tools.ids.hex(64), "hex").toString("base64"),
    reviewSecret: tools.ids.hex(64),
  };
}

/** New leaves of the same authorities, and a new key for service accounts' tokens, those of the one before being good still; all else stays. */
export async function renewSecrets(
  cluster: ClusterRecord,
  { secrets, address }: { readonly secrets: ClusterSecrets; readonly address: string },
  tools: Tools,
): Promise<ClusterSecrets> {
  return {
    ...secrets,
    ...(await issueLeaves(cluster, { ...secrets, address }, tools)),
    serviceAccountKey: createServiceAccountKey(),
    formerServiceAccountKeys: verifyingKeys(secrets),
  };
}

async function issueLeaves(
  cluster: ClusterRecord,
  { authority, address, frontProxy }: Pick<ClusterSecrets, "authority" | "frontProxy"> & { readonly address: string },
  tools: Tools,
): Promise<Pick<ClusterSecrets, "leaves" | "leavesEndMs"> & Required<Pick<ClusterSecrets, "frontProxy">>> {
  const subjects = subjectsOf(cluster, address);
  const issued = await Promise.all(LEAVES.map(async (leaf) => [leaf, await issueLeaf(authority, subjects[leaf], tools)] as const));
  const front = frontProxy?.authority ?? (await createAuthority("front-proxy-ca", tools));
  const client = await issueLeaf(front, { commonName: FRONT_PROXY_CLIENT, usage: "client" }, tools);
  return {
    frontProxy: { authority: front, client },
    leaves: Object.fromEntries(issued) as ClusterSecrets["leaves"],
    leavesEndMs: leafEndMs(tools.nowMs),
  };
}

function subjectsOf(cluster: ClusterRecord, address: string): Readonly<Record<Leaf, LeafSubject>> {
  const service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  return {
    "api-server": {
      commonName: "kube-apiserver",
      usage: "server",
      addresses: [address, serviceAddress(cluster.serviceCidr, 1), "127.0.0.1"],
      names: [...service, "localhost"],
    },
    "kubelet-client": { commonName: API_SERVER_AT_NODES, usage: "client" },
    "controller-manager": { commonName: "system:kube-controller-manager", usage: "client" },
    scheduler: { commonName: "system:kube-scheduler", usage: "client" },
  };
}
