/** Records in EC2's shapes. */
import type {
  InternetGateway as GatewayView,
  NetworkInterface,
  RouteTable as RouteTableView,
  SecurityGroup,
  SecurityGroupRule,
  Subnet as SubnetView,
  Tag,
  Vpc as VpcView,
} from "@aws-sdk/client-ec2";
import { formatArn } from "../../core/arn.ts";
import type { Scope } from "../../core/scope.ts";
import { permissionsOf } from "./permissions.ts";
import type { Group, Interface, InternetGateway, RouteTable, Rule, Subnet, TagMap, Vpc } from "./ports.ts";

export function tagView(tags: TagMap): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

function arn(scope: Scope, resource: string): string {
  return formatArn({ service: "ec2", region: scope.region, account: scope.account, resource });
}

/** Id of the association of a VPC's own block, derived from the VPC's: it never changes. */
export function cidrAssociationId(vpc: Vpc): string {
  return `vpc-cidr-assoc-${vpc.vpcId.slice("vpc-".length)}`;
}

export function vpcView(vpc: Vpc): VpcView {
  return {
    VpcId: vpc.vpcId,
    OwnerId: vpc.account,
    CidrBlock: vpc.cidr,
    State: "available",
    DhcpOptionsId: vpc.dhcpOptionsId,
    InstanceTenancy: "default",
    IsDefault: vpc.isDefault,
    CidrBlockAssociationSet: [{ AssociationId: cidrAssociationId(vpc), CidrBlock: vpc.cidr, CidrBlockState: { State: "associated" } }],
    Ipv6CidrBlockAssociationSet: [],
    Tags: tagView(vpc.tags),
  };
}

export function subnetView(subnet: Subnet, freeAddresses: number): SubnetView {
  return {
    SubnetId: subnet.subnetId,
    SubnetArn: arn(subnet, `subnet/${subnet.subnetId}`),
    VpcId: subnet.vpcId,
    OwnerId: subnet.account,
    CidrBlock: subnet.cidr,
    AvailabilityZone: subnet.availabilityZone,
    AvailabilityZoneId: subnet.availabilityZoneId,
    AvailableIpAddressCount: freeAddresses,
    DefaultForAz: subnet.defaultForAz,
    MapPublicIpOnLaunch: subnet.mapPublicIpOnLaunch,
    MapCustomerOwnedIpOnLaunch: false,
    AssignIpv6AddressOnCreation: false,
    Ipv6CidrBlockAssociationSet: [],
    Ipv6Native: false,
    EnableDns64: false,
    PrivateDnsNameOptionsOnLaunch: { HostnameType: "ip-name", EnableResourceNameDnsARecord: false, EnableResourceNameDnsAAAARecord: false },
    State: "available",
    Tags: tagView(subnet.tags),
  };
}

export function groupArn(group: Group): string {
  return arn(group, `security-group/${group.groupId}`);
}

export function groupView(group: Group): SecurityGroup {
  return {
    GroupId: group.groupId,
    GroupName: group.groupName,
    Description: group.description,
    OwnerId: group.account,
    VpcId: group.vpcId,
    SecurityGroupArn: groupArn(group),
    IpPermissions: permissionsOf(
      group.rules.filter((rule) => !rule.egress),
      group.account,
    ),
    IpPermissionsEgress: permissionsOf(
      group.rules.filter((rule) => rule.egress),
      group.account,
    ),
    Tags: tagView(group.tags),
  };
}

export function ruleView(rule: Rule, group: Group): SecurityGroupRule {
  return {
    SecurityGroupRuleId: rule.ruleId,
    SecurityGroupRuleArn: arn(group, `security-group-rule/${rule.ruleId}`),
    GroupId: group.groupId,
    GroupOwnerId: group.account,
    IsEgress: rule.egress,
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort,
    ToPort: rule.toPort,
    CidrIpv4: rule.cidrIpv4,
    CidrIpv6: rule.cidrIpv6,
    ReferencedGroupInfo: rule.referencedGroupId === undefined ? undefined : { GroupId: rule.referencedGroupId, UserId: group.account },
    Description: rule.description,
    Tags: tagView(rule.tags),
  };
}

export function routeTableView(table: RouteTable): RouteTableView {
  return {
    RouteTableId: table.routeTableId,
    VpcId: table.vpcId,
    OwnerId: table.account,
    Associations: table.associations.map((association) => ({
      RouteTableAssociationId: association.associationId,
      RouteTableId: table.routeTableId,
      SubnetId: association.subnetId,
      Main: association.subnetId === undefined,
      AssociationState: { State: "associated" },
    })),
    PropagatingVgws: [],
    Routes: table.routes.map((route) => ({
      DestinationCidrBlock: route.destinationCidr,
      ...(route.target.startsWith("nat-") ? { NatGatewayId: route.target } : { GatewayId: route.target }),
      Origin: route.origin,
      State: "active",
    })),
    Tags: tagView(table.tags),
  };
}

export function gatewayView(gateway: InternetGateway): GatewayView {
  return {
    InternetGatewayId: gateway.internetGatewayId,
    OwnerId: gateway.account,
    // EC2's own word here is not in its enumeration.
    Attachments: gateway.vpcId === undefined ? [] : [{ State: "available" as "attached", VpcId: gateway.vpcId }],
    Tags: tagView(gateway.tags),
  };
}

export function privateDnsName(found: Interface): string {
  const domain = found.region === "us-east-1" ? "ec2.internal" : `${found.region}.compute.internal`;
  return `ip-${found.privateIpv4.replaceAll(".", "-")}.${domain}`;
}

export function isInUse(found: Interface): boolean {
  return found.local || found.netnsPath !== undefined;
}

/** Ids of attachments are derived from the interface's: it has only ever one. */
export function attachmentId(found: Interface): string {
  return `eni-attach-${found.eniId.slice("eni-".length)}`;
}

/** Interfaces are made by the service that needs them, as Fargate's and a load balancer's are. */
export function interfaceView(found: Interface, groups: readonly Group[]): NetworkInterface {
  return {
    NetworkInterfaceId: found.eniId,
    Description: found.description,
    InterfaceType: "interface",
    RequesterManaged: true,
    RequesterId: found.account,
    OwnerId: found.account,
    VpcId: found.vpcId,
    SubnetId: found.subnetId,
    AvailabilityZone: found.availabilityZone,
    MacAddress: found.macAddress,
    PrivateIpAddress: found.privateIpv4,
    PrivateDnsName: privateDnsName(found),
    PrivateIpAddresses: [{ Primary: true, PrivateIpAddress: found.privateIpv4, PrivateDnsName: privateDnsName(found) }],
    Ipv6Addresses: [],
    SourceDestCheck: true,
    Status: isInUse(found) ? "in-use" : "available",
    Groups: found.groupIds.map((groupId) => ({ GroupId: groupId, GroupName: groups.find((group) => group.groupId === groupId)?.groupName })),
    ...(isInUse(found)
      ? {
          Attachment: {
            AttachmentId: attachmentId(found),
            AttachTime: new Date(found.createdAtMs),
            DeleteOnTermination: false,
            DeviceIndex: 1,
            InstanceOwnerId: "amazon-aws",
            NetworkCardIndex: 0,
            Status: "attached" as const,
          },
        }
      : {}),
    TagSet: tagView(found.tags),
  };
}
