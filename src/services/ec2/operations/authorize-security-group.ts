import type {
  AuthorizeSecurityGroupEgressRequest,
  AuthorizeSecurityGroupIngressRequest,
  AuthorizeSecurityGroupIngressResult,
  IpPermission,
} from "@aws-sdk/client-ec2";
import type { Members, Operation, RequestContext } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { missingParameter } from "../errors.ts";
import { chooseGroup } from "../group-lookup.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { duplicate, rulesOf, sameRule, tagsFor } from "../permissions.ts";
import type { NewRule } from "../permissions.ts";
import type { Group, Rule } from "../ports.ts";
import { ruleView } from "../views.ts";

/** AWS's default quota, for each direction and address family. */
const MAX_RULES = 60;

interface FlatRequest {
  readonly CidrIp?: string;
  readonly FromPort?: number;
  readonly ToPort?: number;
  readonly IpProtocol?: string;
  readonly SourceSecurityGroupName?: string;
  readonly SourceSecurityGroupOwnerId?: string;
}

/** The members of the two old forms: one rule straight in the request. */
export const FLAT_MEMBERS: Members = {
  CidrIp: "used",
  FromPort: "used",
  ToPort: "used",
  IpProtocol: "used",
  SourceSecurityGroupName: "used",
  SourceSecurityGroupOwnerId: "used",
};

/** The permissions of a request, whichever form it has. @throws AwsError `MissingParameter` */
export function permissionsIn(input: FlatRequest & { readonly IpPermissions?: IpPermission[] }): readonly IpPermission[] {
  if (input.IpPermissions !== undefined && input.IpPermissions.length > 0) return input.IpPermissions;
  if (input.SourceSecurityGroupName !== undefined) {
    const pair = { GroupName: input.SourceSecurityGroupName, UserId: input.SourceSecurityGroupOwnerId };
    // The old form with a group means all traffic from it.
    return [{ IpProtocol: input.IpProtocol ?? "-1", FromPort: input.FromPort, ToPort: input.ToPort, UserIdGroupPairs: [pair] }];
  }
  if (input.CidrIp === undefined) throw missingParameter("ipPermissions");
  return [{ IpProtocol: input.IpProtocol, FromPort: input.FromPort, ToPort: input.ToPort, IpRanges: [{ CidrIp: input.CidrIp }] }];
}

/** The groups of one VPC, which rules of its groups may name. */
export function neighbours(room: Ec2Room, group: Group): readonly Group[] {
  return room.network.securityGroups(group).filter((other) => other.vpcId === group.vpcId);
}

/** @throws AwsError `InvalidPermission.Duplicate`, `RulesPerSecurityGroupLimitExceeded` */
export function checkAddition(existing: readonly Rule[], added: readonly NewRule[]): void {
  for (const [index, rule] of added.entries()) {
    if ([...existing, ...added.slice(0, index)].some((other) => sameRule(other, rule))) throw duplicate(rule);
  }
  const all = [...existing, ...added];
  for (const egress of [true, false]) {
    const count = (has: (rule: NewRule) => boolean): number => all.filter((rule) => rule.egress === egress && has(rule)).length;
    if (
      Math.max(
        count((rule) => rule.cidrIpv6 === undefined),
        count((rule) => rule.cidrIpv4 === undefined),
      ) > MAX_RULES
    ) {
      throw new AwsError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.");
    }
  }
}

async function authorize(
  room: Ec2Room,
  input: AuthorizeSecurityGroupIngressRequest,
  { egress, context }: { readonly egress: boolean; readonly context: RequestContext },
): Promise<AuthorizeSecurityGroupIngressResult> {
  const { groupId } = await chooseGroup(room.network, context, input);
  const tags = tagsFor("security-group-rule", input.TagSpecifications);
  let added: readonly Rule[] = [];
  const group = await room.network.updateSecurityGroup(context, groupId, (current) => {
    const rules = rulesOf(permissionsIn(input), { egress, groups: neighbours(room, current), account: context.account });
    checkAddition(current.rules, rules);
    added = rules.map((rule) => ({ ...rule, ruleId: room.newRuleId(), tags }));
    return { ...current, rules: [...current.rules, ...added] };
  });
  return { Return: true, SecurityGroupRules: added.map((rule) => ruleView(rule, group)) };
}

/**
 * All of the request's rules or none. In force when it answers.
 * @throws AwsError `InvalidGroup.NotFound`, `InvalidPermission.Duplicate`, `InvalidParameterValue`, `RulesPerSecurityGroupLimitExceeded`
 */
export const authorizeSecurityGroupIngress = (room: Ec2Room): Operation<AuthorizeSecurityGroupIngressRequest, AuthorizeSecurityGroupIngressResult> =>
  ec2Operation({
    name: "AuthorizeSecurityGroupIngress",
    members: { GroupId: "used", GroupName: "used", IpPermissions: "used", TagSpecifications: "used", ...FLAT_MEMBERS },
    handle: (input, context) => authorize(room, input, { egress: false, context }),
  });

/** As for ingress; the group is named by id. */
export const authorizeSecurityGroupEgress = (room: Ec2Room): Operation<AuthorizeSecurityGroupEgressRequest, AuthorizeSecurityGroupIngressResult> =>
  ec2Operation({
    name: "AuthorizeSecurityGroupEgress",
    members: { GroupId: "used", IpPermissions: "used", TagSpecifications: "used", ...FLAT_MEMBERS },
    handle: (input, context) => authorize(room, input, { egress: true, context }),
  });
