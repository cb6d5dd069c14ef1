import type {
  CreateSecurityGroupRequest,
  CreateSecurityGroupResult,
  DeleteSecurityGroupRequest,
  DeleteSecurityGroupResult,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { invalidValue, KINDS, missingParameter, one } from "../errors.ts";
import { chooseGroup } from "../group-lookup.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { tagsFor } from "../permissions.ts";
import { groupArn, tagView } from "../views.ts";

const TEXT = /^[\w .:/()#,@[\]+=&;{}!$*-]*$/;

function checkTexts(name: string, description: string): void {
  if (name.length > 255 || !TEXT.test(name))
    throw invalidValue(`Value (${name}) for parameter GroupName is invalid. Character sets beyond ASCII are not supported.`);
  if (name.startsWith("sg-")) throw invalidValue(`Invalid security group name. Group names may not be in the format sg-*.`);
  if (name.toLowerCase() === "default") throw invalidValue("Cannot use reserved security group name: default");
  if (description.length > 255 || !TEXT.test(description)) {
    throw invalidValue(`Value (${description}) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.`);
  }
}

/** In the default VPC unless one is named. @throws AwsError `InvalidGroup.Duplicate`, `InvalidVpcID.NotFound`, `InvalidParameterValue` */
export const createSecurityGroup = ({ network }: Ec2Room): Operation<CreateSecurityGroupRequest, CreateSecurityGroupResult> =>
  ec2Operation({
    name: "CreateSecurityGroup",
    members: { GroupName: "used", Description: "used", VpcId: "used", TagSpecifications: "used" },
    errors: { "already-exists": "InvalidGroup.Duplicate" },
    async handle(input, { account, region }) {
      const { GroupName: groupName, Description: description } = input;
      if (!groupName) throw missingParameter("GroupName");
      if (!description) throw missingParameter("GroupDescription");
      checkTexts(groupName, description);
      const scope = { account, region };
      const defaultVpc = await network.ensureDefaultVpc(scope);
      const vpc = input.VpcId === undefined ? defaultVpc : one(KINDS.vpc, network.vpcs(scope), input.VpcId, (found) => found.vpcId);
      const tags = tagsFor("security-group", input.TagSpecifications);
      const group = await network.createSecurityGroup({ ...scope, vpcId: vpc.vpcId, groupName, description, tags });
      return { GroupId: group.groupId, SecurityGroupArn: groupArn(group), Tags: tagView(tags) };
    },
  });

/** @throws AwsError `InvalidGroup.NotFound`, `CannotDelete` (the default one), `DependencyViolation` (interfaces or other groups' rules use it) */
export const deleteSecurityGroup = ({ network }: Ec2Room): Operation<DeleteSecurityGroupRequest, DeleteSecurityGroupResult> =>
  ec2Operation({
    name: "DeleteSecurityGroup",
    members: { GroupId: "used", GroupName: "used" },
    errors: { conflict: "DependencyViolation" },
    async handle(input, context) {
      const group = await chooseGroup(network, context, input);
      if (group.groupName === "default") {
        throw new AwsError("CannotDelete", `the specified group: "${group.groupId}" name: "default" cannot be deleted by a user`);
      }
      await network.deleteSecurityGroup(context, group.groupId);
      return { Return: true, GroupId: group.groupId };
    },
  });
