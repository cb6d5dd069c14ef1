import type { NetworkStatus } from "../contracts/engine.ts";
import type { AttachRequest, VirtualAddresses } from "../contracts/network.ts";
import type { Scope } from "../core/scope.ts";

/** What the node side of EKS needs of other rooms. `server` ties each to the room that owns the records. */
export interface KubeletPorts {
  readonly clusters: ClusterDirectory;
  readonly profiles: FargateProfiles;
  readonly network: PodNetwork;
  readonly identities: IdentityMap;
  readonly podIdentities: PodIdentities;
}

/** An EKS cluster whose API server serves. */
export interface KubeCluster extends Scope {
  /** Of its record: account, region and name. */
  readonly key: string;
  readonly name: string;
  readonly arn: string;
  /** Never used twice. */
  readonly uid: string;
  readonly vpcId: string;
  /** Of the API server, which speaks HTTPS there. */
  readonly address: string;
  /** The block of services' addresses, e.g. `10.100.0.0/16`, and in it that of the cluster's DNS. */
  readonly serviceCidr: string;
  readonly dnsAddress: string;
  /** PEM. */
  readonly authority: string;
  /** The common name of the certificate by which its API server calls nodes. */
  readonly apiServerName: string;
  /** The security group of the control plane and of all pods. */
  readonly clusterGroupId: string;
}

export interface ClusterDirectory {
  /** Those that serve and are not being deleted. */
  list(): Promise<readonly KubeCluster[]>;
  /** `undefined` unless it serves and is not being deleted. */
  get(key: string): Promise<KubeCluster | undefined>;
  /** Calls with the key of a cluster that has changed. */
  watch(listener: (key: string) => void): Disposable;
  /** A client certificate with all rights in the cluster, PEM. */
  adminCertificate(key: string): Promise<{ readonly certificate: string; readonly key: string }>;
  /** A server certificate of the cluster's authority for the kubelet of a node, PEM; good for a year. */
  nodeCertificate(
    key: string,
    node: { readonly nodeName: string; readonly address: string },
  ): Promise<{ readonly certificate: string; readonly key: string }>;
}

/** Label pairs may have wildcards, as the namespace may: `*` for any characters, `?` for one. */
export interface PodSelector {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface FargateProfile {
  readonly name: string;
  /** Tidegate's own, for add-ons: any other that matches comes first. */
  readonly isSystem?: boolean;
  readonly selectors: readonly PodSelector[];
  /** Where its pods get their addresses; with their zones, e.g. `us-east-1a`. */
  readonly subnets: readonly { readonly subnetId: string; readonly availabilityZone: string }[];
}

export interface FargateProfiles {
  /** Those of a cluster that are not being deleted. */
  list(clusterKey: string): Promise<readonly FargateProfile[]>;
  /** Calls with the key of the cluster whose profiles have changed. */
  watch(listener: (clusterKey: string) => void): Disposable;
  /** The API server knows exactly the profiles `known` now, and there are pods of those `inUse`. */
  admitted(clusterKey: string, profiles: { readonly known: readonly string[]; readonly inUse: readonly string[] }): Promise<void>;
}

export interface IdentityMap {
  /**
   * Takes over a cluster's ConfigMap aws-auth as it is now; `undefined`: there is none. Answers what is wrong with it, in words, unless it was
   * taken over before. Idempotent.
   */
  put(
    clusterKey: string,
    map: { readonly data: Readonly<Record<string, string>>; readonly resourceVersion: string } | undefined,
  ): Promise<readonly string[]>;
}

export interface PodIdentities {
  /** Service accounts of a cluster with a Pod Identity association. */
  list(clusterKey: string): Promise<readonly { readonly namespace: string; readonly serviceAccount: string }[]>;
  /** Calls with the key of the cluster whose associations have changed. */
  watch(listener: (clusterKey: string) => void): Disposable;
}

export interface PodNetwork {
  /** Idempotent by `attachmentId`. @throws Problem `exhausted` when the subnet is full, `not-found`. */
  allocate(request: AttachRequest): Promise<NetworkStatus>;
  detach(attachmentId: string): Promise<void>;
  /** As the contract's: whom the VPC's own workloads ask for names. */
  dnsFor(subnetId: string): Promise<{ readonly servers: readonly string[]; readonly searches: readonly string[] }>;
  /** As the contract's. */
  translate(attachmentId: string, addresses: VirtualAddresses): Promise<void>;
}
