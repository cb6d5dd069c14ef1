import type {
  CreateSubnetRequest,
  CreateSubnetResult,
  CreateVpcRequest,
  CreateVpcResult,
  DeleteSubnetRequest,
  DeleteVpcRequest,
} from "@aws-sdk/client-ec2";
import type { Operation } from "../../../contracts/service.ts";
import { KINDS, missingParameter, one } from "../errors.ts";
import { ec2Operation } from "../operation.ts";
import type { Ec2Room } from "../operation.ts";
import { ipv4Block, tagsFor } from "../permissions.ts";
import { subnetView, vpcView } from "../views.ts";

/**
 * @throws AwsError `InvalidVpc.Range` for a block that is no VPC's.
 *
 * Differs: VPCs that overlap another one, or a network that the host itself reaches, are refused with `InvalidVpc.Conflict`, as they share the
 * host's routes.
 */
export const createVpc = ({ network }: Ec2Room): Operation<CreateVpcRequest, CreateVpcResult> =>
  ec2Operation({
    name: "CreateVpc",
    members: {
      CidrBlock: "used",
      TagSpecifications: "used",
      InstanceTenancy: { refused: "only shared hardware is there", unless: ["default"] },
      AmazonProvidedIpv6CidrBlock: { refused: "VPCs have no IPv6", unless: [false] },
    },
    errors: { invalid: "InvalidVpc.Range", conflict: "InvalidVpc.Conflict" },
    async handle(input, { account, region }) {
      if (input.CidrBlock === undefined) throw missingParameter("cidrBlock");
      const vpc = await network.createVpc({ account, region, cidr: ipv4Block(input.CidrBlock), tags: tagsFor("vpc", input.TagSpecifications) });
      return { Vpc: vpcView(vpc) };
    },
  });

/** @throws AwsError `DependencyViolation` while subnets, groups or gateways are in it. */
export const deleteVpc = ({ network }: Ec2Room): Operation<DeleteVpcRequest, object> =>
  ec2Operation({
    name: "DeleteVpc",
    members: { VpcId: "used" },
    errors: { conflict: "DependencyViolation" },
    async handle(input, context) {
      const vpc = one(KINDS.vpc, network.vpcs(context), input.VpcId ?? "", (found) => found.vpcId);
      await network.deleteVpc(context, vpc.vpcId);
      return {};
    },
  });

/** @throws AwsError `InvalidSubnet.Range`, `InvalidSubnet.Conflict` */
export const createSubnet = ({ network }: Ec2Room): Operation<CreateSubnetRequest, CreateSubnetResult> =>
  ec2Operation({
    name: "CreateSubnet",
    members: {
      VpcId: "used",
      CidrBlock: "used",
      AvailabilityZone: "used",
      AvailabilityZoneId: "used",
      TagSpecifications: "used",
      Ipv6Native: { refused: "VPCs have no IPv6", unless: [false] },
    },
    errors: { invalid: "InvalidSubnet.Range", conflict: "InvalidSubnet.Conflict" },
    async handle(input, { account, region }) {
      if (input.CidrBlock === undefined) throw missingParameter("cidrBlock");
      const scope = { account, region };
      const vpc = one(KINDS.vpc, network.vpcs(scope), input.VpcId ?? "", (found) => found.vpcId);
      const zones = network.zones(region);
      const byId = zones.find((zone) => zone.id === input.AvailabilityZoneId)?.name;
      const availabilityZone = input.AvailabilityZone ?? (input.AvailabilityZoneId === undefined ? zones[0]?.name : byId) ?? "";
      const tags = tagsFor("subnet", input.TagSpecifications);
      const subnet = await network.createSubnet({ ...scope, vpcId: vpc.vpcId, cidr: ipv4Block(input.CidrBlock), availabilityZone, tags });
      return { Subnet: subnetView(subnet, network.freeAddresses(subnet.subnetId)) };
    },
  });

/** @throws AwsError `DependencyViolation` while interfaces are in it. */
export const deleteSubnet = ({ network }: Ec2Room): Operation<DeleteSubnetRequest, object> =>
  ec2Operation({
    name: "DeleteSubnet",
    members: { SubnetId: "used" },
    errors: { conflict: "DependencyViolation" },
    async handle(input, context) {
      const subnet = one(KINDS.subnet, network.subnets(context), input.SubnetId ?? "", (found) => found.subnetId);
      await network.deleteSubnet(context, subnet.subnetId);
      return {};
    },
  });
