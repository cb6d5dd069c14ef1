import type { DescribeVpcAttributeRequest, DescribeVpcAttributeResult, DescribeVpcsRequest, DescribeVpcsResult } from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, missingParameter, one, select } from "../errors.ts";
import { applyFilters, tagFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { Vpc } from "../ports.ts";
import { cidrAssociationId, vpcView } from "../views.ts";

const idOf = (vpc: Vpc): string => vpc.vpcId;

const FILTERS = {
  cidr: (vpc: Vpc) => [vpc.cidr],
  "cidr-block": (vpc: Vpc) => [vpc.cidr],
  "cidr-block-association.association-id": (vpc: Vpc) => [cidrAssociationId(vpc)],
  "cidr-block-association.cidr-block": (vpc: Vpc) => [vpc.cidr],
  "cidr-block-association.state": () => ["associated"],
  "dhcp-options-id": (vpc: Vpc) => [vpc.dhcpOptionsId],
  "ipv6-cidr-block-association.association-id": () => [],
  "ipv6-cidr-block-association.ipv6-cidr-block": () => [],
  "ipv6-cidr-block-association.ipv6-pool": () => [],
  "ipv6-cidr-block-association.state": () => [],
  "is-default": (vpc: Vpc) => [vpc.isDefault],
  isDefault: (vpc: Vpc) => [vpc.isDefault],
  "owner-id": (vpc: Vpc) => [vpc.account],
  state: () => ["available"],
  "vpc-id": (vpc: Vpc) => [vpc.vpcId],
  ...tagFilters,
};

/** The region's VPCs; its default VPC is made at the first question. @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcs.html */
export const describeVpcs = ({ network }: Ec2Room): Operation<DescribeVpcsRequest, DescribeVpcsResult> =>
  ec2Operation({
    name: "DescribeVpcs",
    members: { VpcIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const chosen = select(KINDS.vpc, network.vpcs(context), input.VpcIds, idOf);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, FILTERS), input, { idOf, named: input.VpcIds });
      return { Vpcs: items.map(vpcView), NextToken };
    },
  });

/** @throws AwsError `InvalidVpcID.NotFound` */
export const describeVpcAttribute = ({ network }: Ec2Room): Operation<DescribeVpcAttributeRequest, DescribeVpcAttributeResult> =>
  ec2Operation({
    name: "DescribeVpcAttribute",
    members: { VpcId: "used", Attribute: "used" },
    async handle(input, context) {
      const vpc = one(KINDS.vpc, network.vpcs(context), input.VpcId ?? "", idOf);
      const values = {
        enableDnsHostnames: { EnableDnsHostnames: { Value: vpc.enableDnsHostnames } },
        enableDnsSupport: { EnableDnsSupport: { Value: vpc.enableDnsSupport } },
        enableNetworkAddressUsageMetrics: { EnableNetworkAddressUsageMetrics: { Value: false } },
      };
      if (input.Attribute === undefined) throw missingParameter("attribute");
      return { VpcId: vpc.vpcId, ...values[input.Attribute] };
    },
  });
