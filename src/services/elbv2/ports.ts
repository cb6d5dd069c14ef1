import type { LoadBalancing } from "../../contracts/load-balancing.ts";
import type { Scope } from "../../core/scope.ts";

/** What ELBv2 needs of other rooms. `server` ties each to the room that owns the records. */
export interface Elbv2Ports {
  readonly balancing: LoadBalancing;
  readonly network: NetworkLookup;
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
  /** Id of the VPC's group named `default`; `undefined` when there is no such VPC. */
  defaultSecurityGroup(scope: Scope, vpcId: string): Promise<string | undefined>;
}
