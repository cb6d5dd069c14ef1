import type { Service, Toolbox } from "../../contracts/service.ts";
import type { Ec2Room } from "./operation.ts";
import { authorizeSecurityGroupEgress, authorizeSecurityGroupIngress } from "./operations/authorize-security-group.ts";
import { createSecurityGroup, deleteSecurityGroup } from "./operations/change-security-groups.ts";
import { createSubnet, createVpc, deleteSubnet, deleteVpc } from "./operations/change-vpcs.ts";
import { describeAccountAttributes, describeAvailabilityZones, describeRegions } from "./operations/describe-account.ts";
import { describeNetworkAcls } from "./operations/describe-network-acls.ts";
import { describeNetworkInterfaces } from "./operations/describe-network-interfaces.ts";
import { describeInternetGateways, describeRouteTables } from "./operations/describe-routes.ts";
import { describeSecurityGroupRules, describeSecurityGroups } from "./operations/describe-security-groups.ts";
import { describeSubnets } from "./operations/describe-subnets.ts";
import { describeVpcAttribute, describeVpcs } from "./operations/describe-vpcs.ts";
import { modifySecurityGroupRules } from "./operations/modify-security-group-rules.ts";
import { revokeSecurityGroupEgress, revokeSecurityGroupIngress } from "./operations/revoke-security-group.ts";
import { createTags, deleteTags, describeTags } from "./operations/tags.ts";
import type { Ec2Network } from "./ports.ts";

/** The part of EC2 that is a VPC: its API over the network's records. */
export function createEc2Service(options: { readonly network: Ec2Network; readonly toolbox: Toolbox }): Service {
  const room: Ec2Room = { network: options.network, newRuleId: () => `sgr-0${options.toolbox.ids.hex(16)}` };
  return {
    name: "ec2",
    signingName: "ec2",
    apiVersion: "2016-11-15",
    xmlNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    protocol: "ec2Query",
    loadSchemas: () => import("@aws-sdk/client-ec2"),
    operations: [
      authorizeSecurityGroupEgress(room),
      authorizeSecurityGroupIngress(room),
      createSecurityGroup(room),
      createSubnet(room),
      createTags(room),
      createVpc(room),
      deleteSecurityGroup(room),
      deleteSubnet(room),
      deleteTags(room),
      deleteVpc(room),
      describeAccountAttributes(room),
      describeAvailabilityZones(room),
      describeInternetGateways(room),
      describeNetworkAcls(room),
      describeNetworkInterfaces(room),
      describeRegions(),
      describeRouteTables(room),
      describeSecurityGroupRules(room),
      describeSecurityGroups(room),
      describeSubnets(room),
      describeTags(room),
      describeVpcAttribute(room),
      describeVpcs(room),
      modifySecurityGroupRules(room),
      revokeSecurityGroupEgress(room),
      revokeSecurityGroupIngress(room),
    ],
  };
}
