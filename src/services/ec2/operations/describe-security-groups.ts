import type {
  DescribeSecurityGroupRulesRequest,
  DescribeSecurityGroupRulesResult,
  DescribeSecurityGroupsRequest,
  DescribeSecurityGroupsResult,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, groupNotFound, select } from "../errors.ts";
import type { FilterFields } from "../filters.ts";
import { applyFilters, tagFilters } from "../filters.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { pageOf } from "../paging.ts";
import type { Group, Rule, TagMap } from "../ports.ts";
import { groupView, ruleView } from "../views.ts";

const idOf = (group: Group): string => group.groupId;

/** The filters on a group's rules, of one direction. */
function ruleFilters(prefix: string, egress: boolean, groups: readonly Group[]): FilterFields<Group> {
  const values = (read: (rule: Rule) => string | number | undefined) => (group: Group) =>
    group.rules.filter((rule) => rule.egress === egress).map(read);
  const nameOf = (groupId: string | undefined): string | undefined => groups.find((group) => group.groupId === groupId)?.groupName;
  return {
    [`${prefix}.cidr`]: values((rule) => rule.cidrIpv4),
    [`${prefix}.from-port`]: values((rule) => rule.fromPort),
    [`${prefix}.group-id`]: values((rule) => rule.referencedGroupId),
    [`${prefix}.group-name`]: values((rule) => nameOf(rule.referencedGroupId)),
    [`${prefix}.ipv6-cidr`]: values((rule) => rule.cidrIpv6),
    [`${prefix}.prefix-list-id`]: () => [],
    [`${prefix}.protocol`]: values((rule) => rule.protocol),
    [`${prefix}.to-port`]: values((rule) => rule.toPort),
    [`${prefix}.user-id`]: (group) =>
      group.rules.some((rule) => rule.egress === egress && rule.referencedGroupId !== undefined) ? [group.account] : [],
  };
}

function filtersOf(groups: readonly Group[]): FilterFields<Group> {
  return {
    description: (group) => [group.description],
    "group-id": (group) => [group.groupId],
    "group-name": (group) => [group.groupName],
    "owner-id": (group) => [group.account],
    "vpc-id": (group) => [group.vpcId],
    ...ruleFilters("ip-permission", false, groups),
    ...ruleFilters("egress.ip-permission", true, groups),
    ...tagFilters,
  };
}

/** The region's security groups. @see https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html */
export const describeSecurityGroups = ({ network }: Ec2Room): Operation<DescribeSecurityGroupsRequest, DescribeSecurityGroupsResult> =>
  ec2Operation({
    name: "DescribeSecurityGroups",
    members: { GroupIds: "used", GroupNames: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      const defaultVpc = await network.ensureDefaultVpc(context);
      const all = network.securityGroups(context);
      const named = input.GroupNames ?? [];
      for (const name of named) {
        // Names are looked up in the default VPC only.
        if (!all.some((group) => group.vpcId === defaultVpc.vpcId && group.groupName === name)) throw groupNotFound(name);
      }
      const byName = named.length === 0 ? all : all.filter((group) => group.vpcId === defaultVpc.vpcId && named.includes(group.groupName));
      const chosen = named.length > 0 && (input.GroupIds ?? []).length === 0 ? byName : select(KINDS.group, all, input.GroupIds, idOf);
      const { items, NextToken } = pageOf(applyFilters(chosen, input.Filters, filtersOf(all)), input, { idOf, named: input.GroupIds });
      return { SecurityGroups: items.map(groupView), NextToken };
    },
  });

interface RuleOfGroup {
  readonly rule: Rule;
  readonly group: Group;
  readonly tags: TagMap;
}

const RULE_FILTERS: FilterFields<RuleOfGroup> = {
  "group-id": ({ group }) => [group.groupId],
  "security-group-rule-id": ({ rule }) => [rule.ruleId],
  ...tagFilters,
};

export const describeSecurityGroupRules = ({ network }: Ec2Room): Operation<DescribeSecurityGroupRulesRequest, DescribeSecurityGroupRulesResult> =>
  ec2Operation({
    name: "DescribeSecurityGroupRules",
    members: { SecurityGroupRuleIds: "used", Filters: "used", MaxResults: "used", NextToken: "used" },
    async handle(input, context) {
      await network.ensureDefaultVpc(context);
      const all = network.securityGroups(context).flatMap((group) => group.rules.map((rule) => ({ rule, group, tags: rule.tags })));
      const ruleIdOf = ({ rule }: RuleOfGroup): string => rule.ruleId;
      const chosen = select(KINDS.rule, all, input.SecurityGroupRuleIds, ruleIdOf);
      const page = pageOf(applyFilters(chosen, input.Filters, RULE_FILTERS), input, { idOf: ruleIdOf, named: input.SecurityGroupRuleIds });
      return { SecurityGroupRules: page.items.map(({ rule, group }) => ruleView(rule, group)), NextToken: page.NextToken };
    },
  });
