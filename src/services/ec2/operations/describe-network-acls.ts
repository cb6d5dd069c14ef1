import type { DescribeNetworkAclsRequest, DescribeNetworkAclsResult, NetworkAcl } from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, select } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { Subnet, Vpc } from "../ports.ts";

interface DefaultAcl {
  readonly networkAclId: string;
  readonly vpc: Vpc;
  readonly subnets: readonly Subnet[];
}

const RULES = [
  { number: 100, action: "allow" },
  { number: 32_767, action: "deny" },
] as const;
const DIRECTIONS = [true, false];
const ANYWHERE = "0.0.0.0/0";

/** Ids are derived from the VPC's and the subnets': they never change. */
const aclId = (vpc: Vpc): string => `acl-${vpc.vpcId.slice("vpc-".length)}`;
const associationId = (subnet: Subnet): string => `aclassoc-${subnet.subnetId.slice("subnet-".length)}`;
const idOf = (acl: DefaultAcl): string => acl.networkAclId;

const FILTERS: FilterFields<DefaultAcl> = {
  "association.association-id": ({ subnets }) => subnets.map(associationId),
  "association.network-acl-id": ({ networkAclId, subnets }) => (subnets.length === 0 ? [] : [networkAclId]),
  "association.subnet-id": ({ subnets }) => subnets.map(({ subnetId }) => subnetId),
  default: () => [true],
  "entry.cidr": () => [ANYWHERE],
  "entry.egress": () => DIRECTIONS,
  "entry.ipv6-cidr": () => [],
  "entry.protocol": () => ["-1", "all"],
  "entry.rule-action": () => RULES.map(({ action }) => action),
  "entry.rule-number": () => RULES.map(({ number }) => number),
  "network-acl-id": ({ networkAclId }) => [networkAclId],
  "owner-id": ({ vpc }) => [vpc.account],
  "vpc-id": ({ vpc }) => [vpc.vpcId],
};

/**
 * Each VPC's default network ACL, which lets all traffic through; there are no others.
 * @see https://docs.aws.amazon.com/vpc/latest/userguide/default-network-acl.html
 */
export const describeNetworkAcls = ({ network }: Ec2Room): Operation<DescribeNetworkAclsRequest, DescribeNetworkAclsResult> =>
  ec2Operation({
    name: "DescribeNetworkAcls",
    members: { NetworkAclIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const subnets = network.subnets(context);
      const all = network.vpcs(context).map((vpc): DefaultAcl => {
        return { networkAclId: aclId(vpc), vpc, subnets: subnets.filter(({ vpcId }) => vpcId === vpc.vpcId) };
      });
      const chosen = select(KINDS.networkAcl, all, input.NetworkAclIds, idOf);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, FILTERS), input, { idOf, named: input.NetworkAclIds });
      return { NetworkAcls: items.map(aclView), NextToken };
    },
  });

function aclView({ networkAclId, vpc, subnets }: DefaultAcl): NetworkAcl {
  return {
    NetworkAclId: networkAclId,
    VpcId: vpc.vpcId,
    OwnerId: vpc.account,
    IsDefault: true,
    Associations: subnets.map((subnet) => ({
      NetworkAclAssociationId: associationId(subnet),
      NetworkAclId: networkAclId,
      SubnetId: subnet.subnetId,
    })),
    Entries: DIRECTIONS.flatMap((Egress) =>
      RULES.map(({ number, action }) => ({ RuleNumber: number, RuleAction: action, Protocol: "-1", CidrBlock: ANYWHERE, Egress })),
    ),
    Tags: [],
  };
}
