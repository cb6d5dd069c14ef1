import type { TargetRegistrar } from "../../contracts/load-balancer.ts";
import type { Scope } from "../../core/scope.ts";

/** What ECS needs of other rooms. `server` ties each to the room that owns the records. */
export interface EcsPorts {
  readonly images: ImageResolver;
  readonly targets: TargetRegistrar;
  readonly network: NetworkLookup;
  readonly logGroups: LogGroups;
  readonly roles: Roles;
}

export interface ImageResolver {
  /**
   * The manifest digest (`sha256:…`) that an image name points to now. `undefined`, or a throw, when it cannot be told: the task's own pull
   * then says why.
   */
  resolve(scope: Scope, image: string): Promise<string | undefined>;
}

export interface SubnetInfo {
  readonly subnetId: string;
  readonly vpcId: string;
  /** e.g. `us-east-1a`. */
  readonly availabilityZone: string;
}

export interface SecurityGroupInfo {
  readonly groupId: string;
  readonly vpcId: string;
}

export interface NetworkLookup {
  /** Those of `subnetIds` that exist, in the order asked. */
  subnets(scope: Scope, subnetIds: readonly string[]): Promise<readonly SubnetInfo[]>;
  /** Those of `groupIds` that exist, in the order asked. */
  securityGroups(scope: Scope, groupIds: readonly string[]): Promise<readonly SecurityGroupInfo[]>;
  /** Id of the VPC's group named `default`; `undefined` when the VPC is gone. */
  defaultSecurityGroup(scope: Scope, vpcId: string): Promise<string | undefined>;
}

export interface LogGroups {
  exists(scope: Scope, group: string): Promise<boolean>;
  /** Idempotent. */
  create(scope: Scope, group: string): Promise<void>;
}

export interface Roles {
  exists(roleArn: string): Promise<boolean>;
}
