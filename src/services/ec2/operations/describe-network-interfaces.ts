import type { DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult } from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, select } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters, tagFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { Group, Interface } from "../ports.ts";
import { attachmentId, interfaceView, isInUse, privateDnsName } from "../views.ts";

const idOf = (found: Interface): string => found.eniId;

function filtersOf(groups: readonly Group[]): FilterFields<Interface> {
  const attached =
    <T>(read: (found: Interface) => T) =>
    (found: Interface): T[] =>
      isInUse(found) ? [read(found)] : [];
  return {
    "addresses.primary": () => [true],
    "addresses.private-dns-name": (found) => [privateDnsName(found)],
    "addresses.private-ip-address": (found) => [found.privateIpv4],
    "addresses.association.public-ip": () => [],
    "association.allocation-id": () => [],
    "association.public-ip": () => [],
    "attachment.attachment-id": attached(attachmentId),
    "attachment.device-index": attached(() => 1),
    "attachment.instance-id": () => [],
    "attachment.instance-owner-id": attached(() => "amazon-aws"),
    "attachment.status": attached(() => "attached"),
    "availability-zone": (found) => [found.availabilityZone],
    description: (found) => [found.description],
    "group-id": (found) => found.groupIds,
    "group-name": (found) => found.groupIds.map((groupId) => groups.find((group) => group.groupId === groupId)?.groupName),
    "interface-type": () => ["interface"],
    "mac-address": (found) => [found.macAddress],
    "network-interface-id": (found) => [found.eniId],
    "owner-id": (found) => [found.account],
    "private-dns-name": (found) => [privateDnsName(found)],
    "private-ip-address": (found) => [found.privateIpv4],
    "requester-id": (found) => [found.account],
    "requester-managed": () => [true],
    "source-dest-check": () => [true],
    status: (found) => [isInUse(found) ? "in-use" : "available"],
    "subnet-id": (found) => [found.subnetId],
    "vpc-id": (found) => [found.vpcId],
    ...tagFilters,
  };
}

/** The interfaces of tasks and load balancers. @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html */
export const describeNetworkInterfaces = ({ network }: Ec2Room): Operation<DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult> =>
  ec2Operation({
    name: "DescribeNetworkInterfaces",
    members: { NetworkInterfaceIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      const groups = network.securityGroups(context);
      const chosen = select(KINDS.interface, network.networkInterfaces(context), input.NetworkInterfaceIds, idOf);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, filtersOf(groups)), input, { idOf, named: input.NetworkInterfaceIds });
      return { NetworkInterfaces: items.map((found) => interfaceView(found, groups)), NextToken };
    },
  });
