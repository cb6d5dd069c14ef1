import type { Controller } from "../contracts/controller.ts";
import type { Store } from "../contracts/store.ts";
import type { Toolbox } from "../contracts/service.ts";
import { isProblem } from "../core/problem.ts";
import type { FargateProfile, FargateProfiles, ClusterDirectory, KubeCluster, KubeletPorts } from "../kubelet/ports.ts";
import { addressAt } from "../network/cidr.ts";
import type { VpcNetwork } from "../network/vpc-network.ts";
import { ADDONS as ADDON_CATALOGUE } from "../services/eks/addons/catalogue.ts";
import { API_SERVER_AT_NODES, clusterArn } from "../services/eks/names.ts";
import type { LeafSubject } from "../services/eks/control-plane/pki.ts";
import { subnetLookup } from "./ports.ts";
import {
  CLUSTER_SECRETS,
  CLUSTERS,
  CONTROL_PLANES,
  FARGATE_PROFILES,
  POD_IDENTITIES,
  recordPrefix,
  type ClusterRecord,
} from "../services/eks/records.ts";

/** Ties the node side of EKS to the rooms that own clusters, profiles and addresses. */

/** Which of the services' addresses is the cluster's DNS, as on AWS. */
const CLUSTER_DNS = 10;
/**
 * Differs: add-ons' pods run without a profile of the user's, so that names work in a cluster whose profiles are for the user's own
 * namespaces alone. ADR 23.
 */
const SYSTEM_PROFILE = "tidegate-system";
const ADMIN = { commonName: "tidegate:fargate", organization: "system:masters", usage: "client" } as const;

interface KubeletParts {
  readonly store: Store;
  readonly identities: KubeletPorts["identities"];
  readonly network: VpcNetwork;
  readonly toolbox: Toolbox;
}

export function kubeletPorts({ store, network, identities, toolbox }: KubeletParts): KubeletPorts {
  return {
    clusters: clusterDirectory(store, toolbox),
    profiles: fargateProfiles(store, network),
    identities,
    podIdentities: podIdentities(store),
    network: {
      allocate: (request) => network.allocate(request),
      detach: (attachmentId) => network.detach(attachmentId),
      dnsFor: (subnetId) => network.dnsFor(subnetId),
      translate: (attachmentId, addresses) => network.translate(attachmentId, addresses),
    },
  };
}

/** Where nothing is computed there is no API server to be told of profiles, and no pods: profiles become ACTIVE, and go, at once. */
export function createSimulatedAdmission({ clusters, profiles }: Pick<KubeletPorts, "clusters" | "profiles">): Controller {
  return {
    name: "eks-admission",
    watches: [],
    sources: (wake) => profiles.watch(wake),
    initialKeys: async () => (await clusters.list()).map(({ key }) => key),
    async reconcile(key) {
      const known = (await profiles.list(key)).map(({ name }) => name);
      await profiles.admitted(key, { known, inUse: [] });
    },
  };
}

function clusterDirectory(store: Store, { clock, ids }: Toolbox): ClusterDirectory {
  const read = async (key: string, cluster: ClusterRecord): Promise<KubeCluster | undefined> => {
    const plane = (await store.get(CONTROL_PLANES, key))?.value;
    const { network, certificateAuthority: authority } = plane ?? {};
    if (plane?.state !== "ACTIVE" || network === undefined || authority === undefined || cluster.deletingSinceMs !== undefined) return undefined;
    const { account, region, name, uid } = cluster;
    return {
      account,
      region,
      key,
      name,
      uid,
      arn: clusterArn(cluster),
      vpcId: cluster.vpc.vpcId,
      address: network.address,
      serviceCidr: cluster.serviceCidr,
      dnsAddress: addressAt(cluster.serviceCidr, CLUSTER_DNS),
      authority: Buffer.from(authority, "base64").toString(),
      clusterGroupId: network.clusterGroupId,
      apiServerName: API_SERVER_AT_NODES,
    };
  };
  const issue = async (key: string, subject: LeafSubject): Promise<{ readonly certificate: string; readonly key: string }> => {
    const secrets = (await store.get(CLUSTER_SECRETS, key))?.value;
    if (secrets === undefined) throw new Error(`the cluster ${key} has no secrets`);
    const { AUTHORITY_DAYS, issueLeaf } = await import("../services/eks/control-plane/pki.ts");
    // Held by this process alone, which may run for years: nobody would make it anew.
    return issueLeaf(secrets.authority, { ...subject, days: AUTHORITY_DAYS }, { nowMs: clock.nowMs(), ids });
  };
  return {
    async list() {
      const all = await Promise.all((await store.list(CLUSTERS)).map(({ key, value }) => read(key, value)));
      return all.filter((cluster) => cluster !== undefined);
    },
    async get(key) {
      const found = await store.get(CLUSTERS, key);
      return found === undefined ? undefined : read(key, found.value);
    },
    watch(listener) {
      const stack = new DisposableStack();
      for (const collection of [CLUSTERS, CONTROL_PLANES]) stack.use(store.watch<unknown>(collection, ({ key }) => listener(key)));
      return stack;
    },
    adminCertificate: (key) => issue(key, ADMIN),
    nodeCertificate: (key, { nodeName, address }) =>
      issue(key, {
        commonName: `system:node:${nodeName}`,
        organization: "system:nodes",
        usage: "server",
        addresses: [address],
        names: [nodeName, nodeName.replace(/^fargate-/, "")],
      }),
  };
}

function podIdentities(store: Store): KubeletPorts["podIdentities"] {
  return {
    async list(clusterKey) {
      const cluster = (await store.get(CLUSTERS, clusterKey))?.value;
      const found = cluster === undefined ? [] : await store.list(POD_IDENTITIES, { prefix: recordPrefix(cluster) });
      return found.map(({ value }) => value);
    },
    watch: (listener) =>
      store.watch(POD_IDENTITIES, ({ value, previous }) => {
        const association = value ?? previous;
        if (association !== undefined) listener(`${association.account}/${association.region}/${association.clusterName}`);
      }),
  };
}

function fargateProfiles(store: Store, network: VpcNetwork): FargateProfiles {
  const lookup = subnetLookup(network);
  const systemProfile = async (cluster: ClusterRecord): Promise<FargateProfile> => ({
    name: SYSTEM_PROFILE,
    isSystem: true,
    selectors: ADDON_CATALOGUE.flatMap(({ namespace, podLabels: labels }) => (labels === undefined ? [] : [{ namespace, labels }])),
    subnets: (await lookup.subnets(cluster, cluster.vpc.subnetIds)).map(({ subnetId, availabilityZone }) => ({ subnetId, availabilityZone })),
  });
  const listOf = async (clusterKey: string) => {
    const cluster = (await store.get(CLUSTERS, clusterKey))?.value;
    return cluster === undefined ? [] : store.list(FARGATE_PROFILES, { prefix: recordPrefix(cluster) });
  };
  return {
    async list(clusterKey) {
      const cluster = (await store.get(CLUSTERS, clusterKey))?.value;
      const users = (await listOf(clusterKey)).flatMap(({ value }) => (value.state === "DELETING" ? [] : [value]));
      return cluster === undefined ? users : [...users, await systemProfile(cluster)];
    },
    watch: (listener) =>
      store.watch(FARGATE_PROFILES, ({ value, previous }) => {
        const profile = value ?? previous;
        if (profile !== undefined) listener(`${profile.account}/${profile.region}/${profile.clusterName}`);
      }),
    async admitted(clusterKey, { known, inUse }) {
      for (const { key, value, revision } of await listOf(clusterKey)) {
        try {
          if (value.state === "CREATING" && known.includes(value.name)) {
            await store.transact([{ op: "update", collection: FARGATE_PROFILES, key, value: { ...value, state: "ACTIVE" }, ifRevision: revision }]);
          } else if (value.state === "DELETING" && !known.includes(value.name) && !inUse.includes(value.name)) {
            await store.transact([{ op: "delete", collection: FARGATE_PROFILES, key, ifRevision: revision }]);
          }
        } catch (error) {
          // Somebody changed it meanwhile: that change leads here again.
          if (!isProblem(error, "conflict", "not-found")) throw error;
        }
      }
    },
  };
}
