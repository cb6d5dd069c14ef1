import type { TargetRegistrar } from "../contracts/load-balancer.ts";
import type { LoadBalancing, Tags } from "../contracts/load-balancing.ts";
import type { Scope } from "../core/scope.ts";

/** What load balancing for EKS needs of other rooms. `server` ties each to the room that owns the records. */
export interface IngressPorts {
  readonly clusters: IngressClusters;
  readonly elbv2: Elbv2;
  readonly network: BalancerNetwork;
}

/** An EKS cluster whose API server serves. */
export interface IngressCluster extends Scope {
  /** Of its record: account, region and name. */
  readonly key: string;
  readonly name: string;
  readonly arn: string;
  /** Never used twice. */
  readonly uid: string;
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  /** Of the API server. */
  readonly address: string;
  /** PEM. */
  readonly authority: string;
  /** The security group of all pods, whose members reach one another. */
  readonly clusterGroupId: string;
}

export interface IngressClusters {
  /** Keys of those that serve and are not being deleted. */
  keys(): Promise<readonly string[]>;
  /** `undefined` unless it serves and is not being deleted. */
  get(key: string): Promise<IngressCluster | undefined>;
  /** The uid of the cluster of this key, whether it serves or not; `undefined` when there is none, or it is being deleted. */
  uidOf(key: string): Promise<string | undefined>;
  /** Calls with the key of a cluster that has changed. */
  watch(listener: (key: string) => void): Disposable;
  /** A client certificate with all rights in the cluster, PEM. */
  adminCertificate(key: string): Promise<{ readonly certificate: string; readonly key: string }>;
}

export interface Elbv2 {
  /** To read, and for targets. */
  readonly balancing: LoadBalancing;
  readonly registrar: Pick<TargetRegistrar, "watch">;
  /** An operation of the ELBv2 API, with the same checks and errors as for a client's request. @throws AwsError. */
  call(scope: Scope, operation: string, input: object): Promise<unknown>;
}

export interface BalancerNetwork {
  /** Of a VPC, with their tags. */
  subnets(scope: Scope, vpcId: string): Promise<readonly { readonly subnetId: string; readonly availabilityZone: string; readonly tags: Tags }[]>;
  /** Security groups of a VPC that carry all these tags. */
  groups(scope: Scope, vpcId: string, tags: Tags): Promise<readonly { readonly groupId: string; readonly name: string }[]>;
  /** Makes the group of that name, or brings its rules to exactly these; answers its id. Idempotent. */
  ensureGroup(request: GroupRequest): Promise<string>;
  /** Answers false while something uses it. Idempotent. */
  deleteGroup(scope: Scope, groupId: string): Promise<boolean>;
}

export interface GroupRequest extends Scope {
  readonly vpcId: string;
  readonly name: string;
  readonly description: string;
  readonly tags: Tags;
  /** Each block may reach each TCP port. */
  readonly cidrs: readonly string[];
  readonly ports: readonly number[];
}
