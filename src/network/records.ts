/** What the network keeps in the store. The records are the truth; the kernel is converged to them. */
import { collection } from "../contracts/store.ts";
import type { Scope } from "../core/scope.ts";

export type Tags = Readonly<Record<string, string>>;

/** The veth between the host and a VPC's namespace: a /30 of link-local addresses. */
export interface HostLink {
  /** Network of the /30, e.g. `169.254.180.0/30`. */
  readonly cidr: string;
  readonly hostAddress: string;
  readonly vpcAddress: string;
}

export interface VpcRecord extends Scope {
  readonly vpcId: string;
  readonly cidr: string;
  readonly isDefault: boolean;
  readonly dhcpOptionsId: string;
  readonly enableDnsSupport: boolean;
  readonly enableDnsHostnames: boolean;
  readonly tags: Tags;
  readonly createdAtMs: number;
  /** Set once the VPC is first used; from then on it has a namespace. A VPC that nothing ever ran in is a record only. */
  readonly link?: HostLink;
}

export interface SubnetRecord extends Scope {
  readonly subnetId: string;
  readonly vpcId: string;
  readonly cidr: string;
  readonly availabilityZone: string;
  readonly availabilityZoneId: string;
  readonly defaultForAz: boolean;
  readonly mapPublicIpOnLaunch: boolean;
  readonly tags: Tags;
}

/** One rule with one source (or destination, for egress). */
export interface GroupRule {
  /** `sgr-…` */
  readonly ruleId: string;
  readonly egress: boolean;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `-1` (all), or a protocol number. */
  readonly protocol: string;
  /** Port, or ICMP type; -1 is any. */
  readonly fromPort: number;
  /** Port, or ICMP code; -1 is any. */
  readonly toPort: number;
  /** Exactly one of these three. */
  readonly cidrIpv4?: string;
  readonly cidrIpv6?: string;
  readonly referencedGroupId?: string;
  readonly description?: string;
  readonly tags: Tags;
}

export interface SecurityGroupRecord extends Scope {
  readonly groupId: string;
  readonly groupName: string;
  readonly description: string;
  readonly vpcId: string;
  readonly rules: readonly GroupRule[];
  readonly tags: Tags;
}

export interface RouteRecord {
  readonly destinationCidr: string;
  /** `local`, `igw-…` or `nat-…`. */
  readonly target: string;
  readonly origin: "CreateRouteTable" | "CreateRoute";
}

export interface RouteTableRecord extends Scope {
  readonly routeTableId: string;
  readonly vpcId: string;
  readonly routes: readonly RouteRecord[];
  /** One without a subnet makes it the VPC's main table. */
  readonly associations: readonly { readonly associationId: string; readonly subnetId?: string }[];
  readonly tags: Tags;
}

export interface InternetGatewayRecord extends Scope {
  readonly internetGatewayId: string;
  readonly vpcId?: string;
  readonly tags: Tags;
}

export interface EniRecord extends Scope {
  /** The idempotency token; also the store key. */
  readonly attachmentId: string;
  readonly eniId: string;
  readonly owner: string;
  readonly description: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly privateIpv4: string;
  readonly macAddress: string;
  readonly groupIds: readonly string[];
  readonly assignPublicIp: boolean;
  /** The address lives on the VPC namespace's own `lo`: a load balancer's. */
  readonly local: boolean;
  /** Port 10250 of the address is a node's kubelet. */
  readonly isNode?: boolean;
  /** Where it is to be plugged; stored before it is. */
  readonly netnsPath?: string;
  readonly createdAtMs: number;
  readonly tags: Tags;
}

export interface NamesRecord {
  readonly owner: string;
  readonly vpcId: string;
  readonly records: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  readonly host: boolean;
}

/** Something of the host's that was changed, and how it was before; stored before the change. */
export type HostChange =
  | {
      readonly type: "sysctl";
      readonly path: string;
      readonly before: string;
      /** Of the boot in which it was so: a reboot undoes the change. */
      readonly bootId?: string;
    }
  | { readonly type: "route"; readonly cidr: string }
  | { readonly type: "netns-folder" };

export const VPCS = collection<VpcRecord>("network.vpc");
export const SUBNETS = collection<SubnetRecord>("network.subnet");
export const SECURITY_GROUPS = collection<SecurityGroupRecord>("network.security-group");
export const ROUTE_TABLES = collection<RouteTableRecord>("network.route-table");
export const INTERNET_GATEWAYS = collection<InternetGatewayRecord>("network.internet-gateway");
export const ENIS = collection<EniRecord>("network.eni");
export const NAMES = collection<NamesRecord>("network.names");
export const HOST_CHANGES = collection<HostChange>("network.host-change");

/** True once packets of this interface may flow: it is plugged, or about to be. */
export function isLive(eni: EniRecord): boolean {
  return eni.local || eni.netnsPath !== undefined;
}
