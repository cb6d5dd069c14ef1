import type {
  RevokeSecurityGroupEgressRequest,
  RevokeSecurityGroupIngressRequest,
  RevokeSecurityGroupIngressResult,
  RevokedSecurityGroupRule,
} from "@aws-sdk/client-ec2";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { badCombination, KINDS, select } from "../errors.ts";
import { chooseGroup } from "../group-lookup.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { permissionsOf, rulesOf, sameRule } from "../permissions.ts";
import type { NewRule } from "../permissions.ts";
import type { Group, Rule } from "../ports.ts";
import { FLAT_MEMBERS, neighbours, permissionsIn } from "./authorize-security-group.ts";

interface Choice {
  readonly revoked: readonly Rule[];
  readonly unknown: readonly NewRule[];
}

function choose(
  room: Ec2Room,
  group: Group,
  { input, egress }: { readonly input: RevokeSecurityGroupIngressRequest; readonly egress: boolean },
): Choice {
  const rules = group.rules.filter((rule) => rule.egress === egress);
  const ids = input.SecurityGroupRuleIds ?? [];
  if (ids.length > 0) {
    if ((input.IpPermissions ?? []).length > 0) throw badCombination("The parameters ipPermissions and securityGroupRuleIds cannot be used together");
    return { revoked: select(KINDS.rule, rules, ids, (rule) => rule.ruleId), unknown: [] };
  }
  const wanted = rulesOf(permissionsIn(input), { egress, groups: neighbours(room, group), account: group.account });
  return {
    revoked: rules.filter((rule) => wanted.some((other) => sameRule(rule, other))),
    unknown: wanted.filter((other) => !rules.some((rule) => sameRule(rule, other))),
  };
}

function revokedView(rule: Rule, group: Group): RevokedSecurityGroupRule {
  return {
    SecurityGroupRuleId: rule.ruleId,
    GroupId: group.groupId,
    IsEgress: rule.egress,
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort,
    ToPort: rule.toPort,
    CidrIpv4: rule.cidrIpv4,
    CidrIpv6: rule.cidrIpv6,
    ReferencedGroupId: rule.referencedGroupId,
    Description: rule.description,
  };
}

async function revoke(
  room: Ec2Room,
  input: RevokeSecurityGroupIngressRequest,
  { egress, context }: { readonly egress: boolean; readonly context: RequestContext },
): Promise<RevokeSecurityGroupIngressResult> {
  const { network } = room;
  const { groupId } = await chooseGroup(network, context, input);
  let choice: Choice = { revoked: [], unknown: [] };
  const group = await network.updateSecurityGroup(context, groupId, (current) => {
    choice = choose(room, current, { input, egress });
    const inDefaultVpc = network.vpcs(context).some((vpc) => vpc.vpcId === current.vpcId && vpc.isDefault);
    // In the default VPC EC2 lists what it did not find, elsewhere it fails.
    if (choice.unknown.length > 0 && !inDefaultVpc) {
      throw new AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");
    }
    return { ...current, rules: current.rules.filter((rule) => !choice.revoked.includes(rule)) };
  });
  return {
    Return: true,
    ...(choice.unknown.length === 0 ? {} : { UnknownIpPermissions: permissionsOf(choice.unknown, group.account) }),
    RevokedSecurityGroupRules: choice.revoked.map((rule) => revokedView(rule, group)),
  };
}

/**
 * New connections are cut when it answers; tracked ones go on, as on AWS.
 * @throws AwsError `InvalidGroup.NotFound`, `InvalidPermission.NotFound`, `InvalidSecurityGroupRuleId.NotFound`
 */
export const revokeSecurityGroupIngress = (room: Ec2Room): Operation<RevokeSecurityGroupIngressRequest, RevokeSecurityGroupIngressResult> =>
  ec2Operation({
    name: "RevokeSecurityGroupIngress",
    members: { GroupId: "used", GroupName: "used", IpPermissions: "used", SecurityGroupRuleIds: "used", ...FLAT_MEMBERS },
    handle: (input, context) => revoke(room, input, { egress: false, context }),
  });

/** As for ingress; the group is named by id. */
export const revokeSecurityGroupEgress = (room: Ec2Room): Operation<RevokeSecurityGroupEgressRequest, RevokeSecurityGroupIngressResult> =>
  ec2Operation({
    name: "RevokeSecurityGroupEgress",
    members: { GroupId: "used", IpPermissions: "used", SecurityGroupRuleIds: "used", ...FLAT_MEMBERS },
    handle: (input, context) => revoke(room, input, { egress: true, context }),
  });
