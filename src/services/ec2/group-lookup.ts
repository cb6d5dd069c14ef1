import type { Scope } from "../../core/scope.ts";
import { groupNotFound, KINDS, missingParameter, one } from "./errors.ts";
import type { Ec2Network, Group } from "./ports.ts";

/** The group that a request names by id, or by name in the default VPC. @throws AwsError `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`, `MissingParameter` */
export async function chooseGroup(
  network: Ec2Network,
  scope: Scope,
  input: { readonly GroupId?: string; readonly GroupName?: string },
): Promise<Group> {
  const defaultVpc = await network.ensureDefaultVpc(scope);
  const groups = network.securityGroups(scope);
  if (input.GroupId !== undefined) return one(KINDS.group, groups, input.GroupId, (group) => group.groupId);
  if (input.GroupName === undefined) throw missingParameter("GroupName or GroupId");
  const found = groups.find((group) => group.vpcId === defaultVpc.vpcId && group.groupName === input.GroupName);
  if (found === undefined) throw groupNotFound(input.GroupName);
  return found;
}
