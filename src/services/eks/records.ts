import { collection } from "../../contracts/store.ts";
import type { Scope } from "../../core/scope.ts";
import { scopedKey } from "../../core/scope.ts";
import type { AwsAuth } from "./access/aws-auth.ts";
import type { LogType } from "./control-plane/logging.ts";

/** What a user asked for. Written by the API's operations alone; keyed by account, region and name. */
export interface ClusterRecord extends Scope {
  readonly name: string;
  /** 32 hex, never used twice: in the names of all that the cluster has outside its record. */
  readonly uid: string;
  readonly createdAtMs: number;
  /** e.g. `1.36`. */
  readonly version: string;
  readonly roleArn: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly vpc: ClusterVpc;
  /** Of the services' addresses. */
  readonly serviceCidr: string;
  readonly authenticationMode: "API" | "API_AND_CONFIG_MAP" | "CONFIG_MAP";
  /** Who created it: a user, or a role without its session. */
  readonly creatorArn: string;
  readonly creatorIsAdmin: boolean;
  readonly supportType: "STANDARD" | "EXTENDED";
  readonly deletionProtection: boolean;
  /** 32 upper-case hex: the last part of the issuer of service accounts' tokens. */
  readonly oidcId: string;
  /** Of the API server's address, which outlives its workloads. */
  readonly attachmentId: string;
  /** Ten digits that end the names of its security groups. */
  readonly groupSuffix: string;
  /** Makes CreateCluster idempotent: the token, and a digest of what came with it. */
  readonly request: { readonly token: string; readonly digest: string };
  /** It was asked to be deleted. */
  readonly deletingSinceMs?: number;
  /** Logs of the control plane that go to CloudWatch Logs. */
  readonly logging?: readonly LogType[];
  /** The last time that its objects were asked to be brought back from a snapshot. */
  readonly recovery?: { readonly id: string; readonly snapshot: string };
}

export interface ClusterVpc {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  /** The user's own, beside the cluster's. */
  readonly securityGroupIds: readonly string[];
  readonly publicAccess: boolean;
  readonly privateAccess: boolean;
  readonly publicAccessCidrs: readonly string[];
  /** Where the API server's address is. */
  readonly endpointSubnet: { readonly subnetId: string; readonly availabilityZone: string };
}

/** What became of it. Written by the cluster controller alone; same key. */
export interface ControlPlaneRecord {
  readonly state: "CREATING" | "ACTIVE" | "FAILED";
  /** Why it FAILED. */
  readonly issue?: string;
  readonly network?: {
    readonly address: string;
    readonly clusterGroupId: string;
    readonly endpointGroupId: string;
    /** Who may reach the endpoint now, as `endpointAccessOf` has it. */
    readonly access?: string;
  };
  /** Base64 of the cluster's CA certificate. */
  readonly certificateAuthority?: string;
  /** Of the system workload, stored before it is started. */
  readonly workloadId?: string;
  /** Workloads in a row that ended before they had run for a minute. */
  readonly failures: number;
  /** Until it serves again: its objects come back from a snapshot, or from none. */
  readonly recovery?: Recovery;
  /** What the record said when the workload was chosen. */
  readonly logging?: readonly LogType[];
  /** The workload was chosen for a change that was asked for, and does not serve yet. */
  readonly updating?: boolean;
  /** Of the last recovery that was asked for and done, or begun. */
  readonly recoveryId?: string;
  /** The id of the identity provider that its API server was told to go by; "": none. */
  readonly identityProvider?: string;
}

export interface Recovery {
  /** Its file; `undefined`: there was none, and the cluster begins empty. */
  readonly snapshot?: string;
  readonly sinceMs: number;
}

export interface KeyAndCertificate {
  /** PEM. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly key: string;
}

export const LEAVES = ["api-server", "kubelet-client", "controller-manager", "scheduler"] as const;
export type Leaf = (typeof LEAVES)[number];

/** What must not be lost or shown. Made once, before the first workload; the leaves are renewed. Written by the cluster controller alone; same key. */
export interface ClusterSecrets {
  readonly authority: KeyAndCertificate;
  readonly leaves: Readonly<Record<Leaf, KeyAndCertificate>>;
  /**
   * By what servers behind the API server (metrics-server) know it: an authority of its own, which signs nothing else, and the API server's
   * certificate. Missing until the leaves are issued anew where an earlier version made the cluster.
   */
  readonly frontProxy?: { readonly authority: KeyAndCertificate; readonly client: KeyAndCertificate };
  /** When the first of the leaves ends. */
  readonly leavesEndMs: number;
  /** RSA, PEM: signs service accounts' tokens. Replaced with the leaves. */
  readonly serviceAccountKey: string;
  /** Public, PEM, newest first: of those before it, whose tokens are good still, whatever their time is. */
  readonly formerServiceAccountKeys?: readonly string[];
  /** Base64 of 32 bytes: encrypts Secrets in etcd. Never in the folder that etcd's data are in. */
  readonly encryptionKey: string;
  /** Hex: what the API server shows when it asks whose a token is. */
  readonly reviewSecret: string;
}

/** Who may do what in a cluster, by the API. Written by the API's operations alone; keyed by account, region, cluster's uid and principal. */
export interface AccessEntryRecord {
  /** A user's or role's ARN, with its path. */
  readonly principalArn: string;
  /** The last part of the entry's own ARN. */
  readonly id: string;
  /** As Kubernetes is told; may hold `{{SessionName}}` and the like. */
  readonly username: string;
  readonly groups: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  readonly policies: readonly AssociatedPolicy[];
}

export interface AssociatedPolicy {
  readonly policyArn: string;
  /** In which namespaces, which may hold `*`; `undefined`: in all, and outside of them. */
  readonly namespaces?: readonly string[];
  readonly associatedAtMs: number;
  readonly modifiedAtMs: number;
}

/** What the ConfigMap `aws-auth` last said that could be read. Written by `access/identity-map.ts` alone; keyed by account, region and cluster's uid. */
export interface AwsAuthRecord extends AwsAuth {
  /** Of the ConfigMap that was read last. */
  readonly resourceVersion: string;
}

/** Which role the pods of a service account stand for. Written by the API's operations alone; keyed by account, region, cluster's uid and id. */
export interface PodIdentityAssociationRecord extends Scope {
  readonly clusterName: string;
  /** `a-` and 17 letters and digits. */
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly roleArn: string;
  /** A second role, which the first one takes on. */
  readonly targetRoleArn?: string;
  readonly hasSessionTags: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  /** Makes CreatePodIdentityAssociation idempotent. */
  readonly token: string;
}

/** An OIDC provider whose users the cluster lets in; one a cluster. Written by the API's operations; taken away by the cluster controller. Keyed by account, region, cluster's uid and name. */
export interface IdentityProviderRecord extends Scope {
  readonly clusterName: string;
  readonly name: string;
  /** The last part of its ARN. */
  readonly id: string;
  readonly issuerUrl: string;
  /** Which audience tokens must have. */
  readonly clientId: string;
  readonly usernameClaim: string;
  /** `-`: none. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAtMs: number;
  readonly token: string;
  readonly deletingSinceMs?: number;
}

export interface UpdateParameter {
  readonly type:
    | "AuthenticationMode"
    | "ClusterLogging"
    | "DeletionProtection"
    | "EndpointPrivateAccess"
    | "EndpointPublicAccess"
    | "IdentityProviderConfig"
    | "PublicAccessCidrs"
    | "UpgradePolicy";
  readonly value: string;
}

/** A change of a cluster, as DescribeUpdate tells it; keyed by account, region, cluster's uid and id. */
export interface UpdateRecord {
  readonly id: string;
  /** Those of the endpoint and of identity providers are in progress until the controller has done them; the others take effect at once. */
  readonly type:
    | "AccessConfigUpdate"
    | "AssociateIdentityProviderConfig"
    | "DeletionProtectionUpdate"
    | "DisassociateIdentityProviderConfig"
    | "EndpointAccessUpdate"
    | "LoggingUpdate"
    | "UpgradePolicyUpdate";
  readonly parameter: UpdateParameter;
  /** Beside the first. */
  readonly more?: readonly UpdateParameter[];
  readonly createdAtMs: number;
  /** The control plane is replaced for it; the cluster controller takes the mark away. */
  readonly inProgress?: boolean;
}

/** Which pods are on Fargate, and where. Written by the API's operations; that it is ACTIVE, or gone, by `server/kubelet-ports.ts`. Keyed by account, region, cluster's uid and name. */
export interface FargateProfileRecord extends Scope {
  readonly clusterName: string;
  readonly name: string;
  /** The last part of its ARN. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly podExecutionRoleArn: string;
  readonly subnets: readonly { readonly subnetId: string; readonly availabilityZone: string }[];
  readonly selectors: readonly { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }[];
  readonly tags: Readonly<Record<string, string>>;
  readonly state: "CREATING" | "ACTIVE" | "DELETING";
  /** Makes CreateFargateProfile idempotent. */
  readonly token: string;
}

/** An add-on as it is wanted. Written by the API's operations; removed by the add-on controller. Keyed by account, region, cluster's uid and name. */
export interface AddonRecord extends Scope {
  readonly clusterName: string;
  readonly name: string;
  /** Installed by CreateCluster: no add-on to the API, and the user's own from then on. */
  readonly selfManaged: boolean;
  /** The last part of its ARN. */
  readonly id: string;
  readonly version: string;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  /** As the user wrote it: JSON or YAML. */
  readonly configurationValues?: string;
  /** The same, read. */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly serviceAccountRoleArn?: string;
  readonly resolveConflicts: "NONE" | "OVERWRITE" | "PRESERVE";
  readonly tags: Readonly<Record<string, string>>;
  /** Grows by one with each change of what is wanted, from 1. */
  readonly generation: number;
  /** Its updates, the latest last. */
  readonly updates: readonly AddonUpdate[];
  /** It was asked to go; `preserve`: without what it has in the cluster. */
  readonly deleting?: { readonly preserve: boolean };
  /** Makes CreateAddon idempotent. */
  readonly token: string;
}

export interface AddonUpdate {
  readonly id: string;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly params: readonly { readonly type: "AddonVersion" | "ResolveConflicts" | "ConfigurationValues"; readonly value: string }[];
}

export type AddonState = "CREATING" | "ACTIVE" | "DEGRADED" | "CREATE_FAILED" | "UPDATING" | "UPDATE_FAILED";

/** What became of it. Written by the add-on controller alone; same key. */
export interface AddonStatusRecord {
  readonly state: AddonState;
  /** Of the record, when it was last applied, or tried. */
  readonly generation: number;
  readonly sinceMs: number;
  readonly issues: readonly {
    readonly code: "InsufficientNumberOfReplicas" | "K8sResourceNotFound" | "ConfigurationConflict" | "AdmissionRequestDenied";
    readonly message: string;
  }[];
}

/** What a cluster cost in time, beside its pods: written by the cluster controller when the cluster is gone; keyed by account, region and the cluster's uid. */
export interface ClusterUsageRecord extends Scope {
  readonly clusterArn: string;
  readonly version: string;
  readonly supportType: ClusterRecord["supportType"];
  readonly fromMs: number;
  readonly toMs: number;
  /** Rounded up. */
  readonly hours: number;
}

export const CLUSTER_USAGE = collection<ClusterUsageRecord>("eks.usage");
export const CLUSTERS = collection<ClusterRecord>("eks.cluster");
export const CONTROL_PLANES = collection<ControlPlaneRecord>("eks.control-plane");
export const CLUSTER_SECRETS = collection<ClusterSecrets>("eks.secrets");

export const AWS_AUTH = collection<AwsAuthRecord>("eks.aws-auth");
export const IDENTITY_PROVIDERS = collection<IdentityProviderRecord>("eks.identity-provider");
export const POD_IDENTITIES = collection<PodIdentityAssociationRecord>("eks.pod-identity-association");
export const UPDATES = collection<UpdateRecord>("eks.update");
export const ACCESS_ENTRIES = collection<AccessEntryRecord>("eks.access-entry");

export const FARGATE_PROFILES = collection<FargateProfileRecord>("eks.fargate-profile");

export const ADDONS = collection<AddonRecord>("eks.addon");
export const ADDON_STATUSES = collection<AddonStatusRecord>("eks.addon-status");

/** What belongs to a cluster, beside its own three records, has keys that begin with it. */
export function recordPrefix(cluster: ClusterRecord): string {
  return `${scopedKey(cluster, cluster.uid)}/`;
}

export function clusterKey(scope: Scope, name: string): string {
  return scopedKey(scope, name);
}

/** Who may reach the API server, as a text to compare. */
export function endpointAccessOf({ vpc }: ClusterRecord): string {
  return JSON.stringify([vpc.publicAccess, vpc.privateAccess, vpc.publicAccessCidrs]);
}

/** The persistent volume of its etcd. */
export function volumeIdOf({ uid }: Pick<ClusterRecord, "uid">): string {
  return `eks-${uid}`;
}

/** The persistent volume of its etcd's snapshots, apart from the data. */
export function snapshotVolumeIdOf({ uid }: Pick<ClusterRecord, "uid">): string {
  return `eks-${uid}-snapshots`;
}

/** Whose the API server's address is, in the network's list. */
export function attachmentOwnerOf({ uid }: ClusterRecord): string {
  return `eks-${uid}`;
}
