import type { DescribeSubnetsRequest, DescribeSubnetsResult } from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, select } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters, tagFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { Ec2Network, Subnet } from "../ports.ts";
import { subnetView } from "../views.ts";

const idOf = (subnet: Subnet): string => subnet.subnetId;

function filtersOf(network: Ec2Network): FilterFields<Subnet> {
  const zone = (subnet: Subnet): string[] => [subnet.availabilityZone];
  const zoneId = (subnet: Subnet): string[] => [subnet.availabilityZoneId];
  const cidr = (subnet: Subnet): string[] => [subnet.cidr];
  const forAz = (subnet: Subnet): boolean[] => [subnet.defaultForAz];
  const free = (subnet: Subnet): number[] => [network.freeAddresses(subnet.subnetId)];
  return {
    "availability-zone": zone,
    availabilityZone: zone,
    "availability-zone-id": zoneId,
    availabilityZoneId: zoneId,
    "available-ip-address-count": free,
    availableIpAddressCount: free,
    cidr,
    "cidr-block": cidr,
    cidrBlock: cidr,
    "default-for-az": forAz,
    defaultForAz: forAz,
    "enable-dns64": () => [false],
    "ipv6-cidr-block-association.ipv6-cidr-block": () => [],
    "ipv6-cidr-block-association.association-id": () => [],
    "ipv6-cidr-block-association.state": () => [],
    "ipv6-native": () => [false],
    "map-customer-owned-ip-on-launch": () => [false],
    "map-public-ip-on-launch": (subnet) => [subnet.mapPublicIpOnLaunch],
    "outpost-arn": () => [],
    "owner-id": (subnet) => [subnet.account],
    state: () => ["available"],
    "subnet-arn": (subnet) => [subnetView(subnet, 0).SubnetArn],
    "subnet-id": (subnet) => [subnet.subnetId],
    "vpc-id": (subnet) => [subnet.vpcId],
    ...tagFilters,
  };
}

/** The region's subnets. @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html */
export const describeSubnets = ({ network }: Ec2Room): Operation<DescribeSubnetsRequest, DescribeSubnetsResult> =>
  ec2Operation({
    name: "DescribeSubnets",
    members: { SubnetIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const chosen = select(KINDS.subnet, network.subnets(context), input.SubnetIds, idOf);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, filtersOf(network)), input, { idOf, named: input.SubnetIds });
      return { Subnets: items.map((subnet) => subnetView(subnet, network.freeAddresses(subnet.subnetId))), NextToken };
    },
  });
