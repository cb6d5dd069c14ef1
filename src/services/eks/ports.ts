import type { NetworkStatus } from "../../contracts/engine.ts";
import type { AttachRequest } from "../../contracts/network.ts";
import type { Principal } from "../../contracts/service.ts";
import type { Scope } from "../../core/scope.ts";

/** What EKS needs of other rooms. `server` ties each to the room that owns the records. */
export interface EksPorts {
  readonly network: ClusterNetwork;
  readonly roles: Roles;
  readonly images: ControlPlaneImages;
  readonly volumes: ClusterVolumes;
  readonly apiServer: ApiServerProbe;
  readonly callers: CallerVerifier;
  readonly logs: LogWriter;
  readonly objects: ClusterObjects;
  /** Whether pods of the cluster are left: their addresses are in its groups. */
  readonly pods: { left(clusterUid: string): Promise<boolean> };
  /** The certificates, PEM, of the authorities that this host trusts. */
  trustedAuthorities(this: void): string;
  readonly loadBalancers: ClusterBalancers;
}

export interface ClusterBalancers {
  /** Whether load balancers of the cluster's Services and Ingresses are there still; they go with it by themselves. */
  areLeft(clusterKey: string): Promise<boolean>;
}

/** An object of Kubernetes, as its YAML says it. */
export type ClusterObject = Readonly<Record<string, unknown>> & ObjectReference;

export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string } & Readonly<Record<string, unknown>>;
}

/** Objects in one cluster. Refusals are Problems, in Kubernetes' words: `invalid`, else `unavailable`. */
export interface ObjectsClient {
  /** By server-side apply, as `fieldManager`; answers the conflicts for which nothing was changed. `force` has none. */
  apply(
    object: ClusterObject,
    options: { readonly fieldManager: string; readonly force: boolean },
  ): Promise<readonly { readonly field: string; readonly message: string }[]>;
  read(reference: ObjectReference): Promise<ClusterObject | undefined>;
  /** What belongs to it goes too, later. Idempotent. */
  remove(reference: ObjectReference): Promise<void>;
  /** Whether a pod of these labels would be one of Fargate's, as the API server sees it now. */
  isOnFargate(pod: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }): Promise<boolean>;
}

export interface ClusterObjects {
  /** @throws Problem `unavailable` while its API server does not answer. */
  of(clusterKey: string): Promise<ObjectsClient>;
  /** JSON is YAML too. @throws Error for what is neither. */
  readYaml(text: string): Promise<unknown>;
}

/** Who takes a role on: a service of AWS for something of its own, or another role. */
export type TrustedBy =
  | { readonly service: string; readonly sourceArn: string; readonly sourceAccount: string }
  | { readonly roleArn: string; readonly externalId: string };

export interface RoleCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly accountId: string;
  readonly expirationMs: number;
  /** `arn:aws:sts::<account>:assumed-role/<role>/<session>`. */
  readonly assumedRoleArn: string;
  /** `AROA…:<session>`. */
  readonly assumedRoleId: string;
}

export interface Roles {
  exists(roleArn: string): Promise<boolean>;
  /** Credentials of a role, for six hours or as long as it allows. @throws Problem `not-found`; `invalid` where its trust policy does not allow it. */
  assume(request: {
    readonly roleArn: string;
    readonly sessionName: string;
    readonly tags: readonly { readonly key: string; readonly value: string }[];
    readonly by: TrustedBy;
  }): Promise<RoleCredentials>;
}

export interface SubnetInfo {
  readonly subnetId: string;
  readonly vpcId: string;
  readonly vpcCidr: string;
  /** e.g. `us-east-1a`. */
  readonly availabilityZone: string;
}

export interface IngressRule {
  /** `-1`: all. */
  readonly protocol: "tcp" | "-1";
  /** -1 with all protocols. */
  readonly port: number;
  /** An IPv4 block, or the group itself. */
  readonly from: { readonly cidr: string } | "itself";
}

export interface GroupRequest extends Scope {
  readonly vpcId: string;
  readonly name: string;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  /** What it has when it is made; later changes are the user's. */
  readonly ingress: readonly IngressRule[];
}

export interface ClusterNetwork {
  /** Those of `subnetIds` that exist, in the order asked. */
  subnets(scope: Scope, subnetIds: readonly string[]): Promise<readonly SubnetInfo[]>;
  /** Those of `groupIds` that exist, in the order asked. */
  securityGroups(scope: Scope, groupIds: readonly string[]): Promise<readonly { readonly groupId: string; readonly vpcId: string }[]>;
  /** Makes the group unless the VPC has one of that name; answers its id. Idempotent. */
  ensureGroup(request: GroupRequest): Promise<string>;
  /** Replaces what may come in through the group of that name. @throws Problem `not-found` */
  setIngress(group: Scope & { readonly vpcId: string; readonly name: string }, ingress: readonly IngressRule[]): Promise<void>;
  /** Answers false while something uses it. Unknown names succeed. */
  deleteGroup(group: Scope & { readonly vpcId: string; readonly name: string }): Promise<boolean>;
  allocate(request: AttachRequest): Promise<NetworkStatus>;
  detach(attachmentId: string): Promise<void>;
  /** How the VPC's workloads reach Tidegate, and the address by which Tidegate reaches them. @throws Problem `unavailable` while the VPC is not in use. */
  endpointOf(vpcId: string): Promise<{ readonly apiUrl: string; readonly hostAddress: string }>;
}

export interface ClusterVolumes {
  remove(volumeId: string): Promise<void>;
  /** Where a persistent volume is on the host; `undefined` where nothing is computed. */
  folder(volumeId: string): string | undefined;
  /** @throws Problem `exhausted` when the disk has no room for so much. */
  ensureRoom(what: string, bytes: number): Promise<void>;
}

export interface ControlPlaneImages {
  /**
   * The image with etcd and the control plane's programs; `undefined` while it is being made, which this call begins, and which takes minutes where
   * Kubernetes has to be built.
   * @throws Problem with why it cannot be had.
   */
  find(): Promise<{ readonly image: string; readonly digest: string } | undefined>;
}

export interface ApiServerProbe {
  /** Whether `/readyz` says ok, by a certificate of this authority (PEM). Never throws. */
  isReady(server: { readonly address: string; readonly authority: string }): Promise<boolean>;
}

export interface LogWriter {
  /** Appends a line to a stream of CloudWatch Logs; stream and group are made where they are not there. */
  write(scope: Scope, line: { readonly group: string; readonly stream: string; readonly message: string; readonly atMs: number }): Promise<void>;
}

/** A GET that somebody signed, without the scheme. */
export interface SignedGet {
  /** As in the URL: with its port, unless that is the scheme's own. */
  readonly host: string;
  readonly query: string;
  /** Beside `host`. */
  readonly headers: Readonly<Record<string, string>>;
  /** When it was signed. */
  readonly signedAtMs: number;
}

export interface CallerVerifier {
  /** Who signed it for STS; `undefined` when the signature does not hold, or its key is none, or was. */
  verify(get: SignedGet): Promise<{ readonly account: string; readonly principal: Principal } | undefined>;
}
