import type { ModifySecurityGroupRulesRequest, ModifySecurityGroupRulesResult, SecurityGroupRuleRequest } from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, missingParameter, one } from "../errors.ts";
import { chooseGroup } from "../group-lookup.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { rulesOf } from "../permissions.ts";
import type { Rule } from "../ports.ts";
import { checkAddition, neighbours } from "./authorize-security-group.ts";

/** Gives rules new content under their old ids, all or none. @throws AwsError as AuthorizeSecurityGroupIngress, `InvalidSecurityGroupRuleId.NotFound` */
export const modifySecurityGroupRules = (room: Ec2Room): Operation<ModifySecurityGroupRulesRequest, ModifySecurityGroupRulesResult> =>
  ec2Operation({
    name: "ModifySecurityGroupRules",
    members: { GroupId: "used", SecurityGroupRules: "used" },
    async handle(input, context) {
      const { groupId } = await chooseGroup(room.network, context, input);
      await room.network.updateSecurityGroup(context, groupId, (group) => {
        const changes = new Map<string, Rule>();
        for (const update of input.SecurityGroupRules ?? []) {
          const rule = one(KINDS.rule, group.rules, update.SecurityGroupRuleId ?? "", (found) => found.ruleId);
          const [changed] = rulesOf([permissionOf(update.SecurityGroupRule)], {
            egress: rule.egress,
            groups: neighbours(room, group),
            account: group.account,
          });
          if (changed === undefined) throw missingParameter("securityGroupRule");
          changes.set(rule.ruleId, { ...changed, ruleId: rule.ruleId, tags: rule.tags });
        }
        checkAddition(
          group.rules.filter((rule) => !changes.has(rule.ruleId)),
          [...changes.values()],
        );
        return { ...group, rules: group.rules.map((rule) => changes.get(rule.ruleId) ?? rule) };
      });
      return { Return: true };
    },
  });

function permissionOf(rule: SecurityGroupRuleRequest | undefined) {
  if (rule === undefined) throw missingParameter("securityGroupRule");
  const { Description } = rule;
  return {
    IpProtocol: rule.IpProtocol,
    FromPort: rule.FromPort,
    ToPort: rule.ToPort,
    IpRanges: rule.CidrIpv4 === undefined ? [] : [{ CidrIp: rule.CidrIpv4, Description }],
    Ipv6Ranges: rule.CidrIpv6 === undefined ? [] : [{ CidrIpv6: rule.CidrIpv6, Description }],
    PrefixListIds: rule.PrefixListId === undefined ? [] : [{ PrefixListId: rule.PrefixListId }],
    UserIdGroupPairs: rule.ReferencedGroupId === undefined ? [] : [{ GroupId: rule.ReferencedGroupId, Description }],
  };
}
