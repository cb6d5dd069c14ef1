/** What EC2's API needs of the network, which owns the records. Same shapes as its own, so that `server` hands its admin over as it is. */
import type { Scope } from "../../core/scope.ts";

export type TagMap = Readonly<Record<string, string>>;

export interface Vpc extends Scope {
  readonly vpcId: string;
  readonly cidr: string;
  readonly isDefault: boolean;
  readonly dhcpOptionsId: string;
  readonly enableDnsSupport: boolean;
  readonly enableDnsHostnames: boolean;
  readonly tags: TagMap;
}

export interface Subnet extends Scope {
  readonly subnetId: string;
  readonly vpcId: string;
  readonly cidr: string;
  readonly availabilityZone: string;
  readonly availabilityZoneId: string;
  readonly defaultForAz: boolean;
  readonly mapPublicIpOnLaunch: boolean;
  readonly tags: TagMap;
}

/** One source or destination a rule; ports (or ICMP type and code) are -1 for any. */
export interface Rule {
  readonly ruleId: string;
  readonly egress: boolean;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `-1`, or a number. */
  readonly protocol: string;
  readonly fromPort: number;
  readonly toPort: number;
  readonly cidrIpv4?: string;
  readonly cidrIpv6?: string;
  readonly referencedGroupId?: string;
  readonly description?: string;
  readonly tags: TagMap;
}

export interface Group extends Scope {
  readonly groupId: string;
  readonly groupName: string;
  readonly description: string;
  readonly vpcId: string;
  readonly rules: readonly Rule[];
  readonly tags: TagMap;
}

export interface RouteTable extends Scope {
  readonly routeTableId: string;
  readonly vpcId: string;
  readonly routes: readonly { readonly destinationCidr: string; readonly target: string; readonly origin: "CreateRouteTable" | "CreateRoute" }[];
  readonly associations: readonly { readonly associationId: string; readonly subnetId?: string }[];
  readonly tags: TagMap;
}

export interface InternetGateway extends Scope {
  readonly internetGatewayId: string;
  readonly vpcId?: string;
  readonly tags: TagMap;
}

export interface Interface extends Scope {
  readonly eniId: string;
  readonly owner: string;
  readonly description: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly privateIpv4: string;
  readonly macAddress: string;
  readonly groupIds: readonly string[];
  readonly local: boolean;
  readonly netnsPath?: string;
  readonly createdAtMs: number;
  readonly tags: TagMap;
}

export interface Ec2Network {
  ensureDefaultVpc(scope: Scope): Promise<Vpc>;
  vpcs(scope: Scope): readonly Vpc[];
  subnets(scope: Scope): readonly Subnet[];
  securityGroups(scope: Scope): readonly Group[];
  routeTables(scope: Scope): readonly RouteTable[];
  internetGateways(scope: Scope): readonly InternetGateway[];
  networkInterfaces(scope: Scope): readonly Interface[];
  zones(region: string): readonly { readonly name: string; readonly id: string }[];
  freeAddresses(subnetId: string): number;
  /** @throws Problem `invalid`, `conflict` (the host or another VPC has some of the block) */
  createVpc(request: Scope & { readonly cidr: string; readonly tags: TagMap }): Promise<Vpc>;
  /** @throws Problem `not-found`, `conflict` (something is in it) */
  deleteVpc(scope: Scope, vpcId: string): Promise<void>;
  /** @throws Problem `not-found`, `invalid` (not inside the VPC, or no such zone), `conflict` (overlap) */
  createSubnet(
    request: Scope & { readonly vpcId: string; readonly cidr: string; readonly availabilityZone: string; readonly tags: TagMap },
  ): Promise<Subnet>;
  /** @throws Problem `not-found`, `conflict` (interfaces are in it) */
  deleteSubnet(scope: Scope, subnetId: string): Promise<void>;
  /** @throws Problem `not-found`, `already-exists` */
  createSecurityGroup(
    request: Scope & { readonly vpcId: string; readonly groupName: string; readonly description: string; readonly tags: TagMap },
  ): Promise<Group>;
  /** @throws Problem `not-found`, `conflict` (in use) */
  deleteSecurityGroup(scope: Scope, groupId: string): Promise<void>;
  /** Changes made by nobody else meanwhile; what `change` throws is thrown. @throws Problem `not-found` */
  updateSecurityGroup(scope: Scope, groupId: string, change: (group: Group) => Group): Promise<Group>;
  updateTags(scope: Scope, resourceId: string, change: (tags: TagMap) => TagMap): Promise<boolean>;
}
