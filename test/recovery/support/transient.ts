/** Resources that are made and deleted again, one after another, so that a kill falls between any two writes of either. */
import { CreateLogGroupCommand, DeleteLogGroupCommand, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
} from "@aws-sdk/client-ec2";
import { CreateRepositoryCommand, DeleteRepositoryCommand, DescribeRepositoriesCommand } from "@aws-sdk/client-ecr";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteClusterCommand,
  DeleteServiceCommand,
  DeregisterTaskDefinitionCommand,
  DescribeClustersCommand,
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
} from "@aws-sdk/client-ecs";
import {
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateRoleCommand, DeleteRoleCommand, GetRoleCommand } from "@aws-sdk/client-iam";
import { TRUST_TASKS, type Stack } from "../../support/stack.ts";

/** One resource: how it is made, found and deleted. `there` answers false, or throws "not found", when it is not. */
export interface Transient {
  readonly what: string;
  make(): Promise<unknown>;
  there(): Promise<boolean>;
  delete(): Promise<unknown>;
}

/** One of each kind, under names of their own; in the order in which they need each other. */
export function transients(stack: Stack, name: string, cidr: string): readonly Transient[] {
  const { ecs, ec2, ecr, elb, iam, logs } = stack;
  const byTag = [{ Name: "tag:Name", Values: [name] }];
  const tag = (ResourceType: "vpc" | "subnet") => [{ ResourceType, Tags: [{ Key: "Name", Value: name }] }];
  const ids = {
    vpc: async () => (await ec2.send(new DescribeVpcsCommand({ Filters: byTag }))).Vpcs?.[0]?.VpcId,
    subnets: async () => ((await ec2.send(new DescribeSubnetsCommand({ Filters: byTag }))).Subnets ?? []).map(({ SubnetId = "" }) => SubnetId),
    group: async () =>
      (await ec2.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: "group-name", Values: [name] }] }))).SecurityGroups?.[0]?.GroupId,
    balancer: async () => (await elb.send(new DescribeLoadBalancersCommand({ Names: [name] }))).LoadBalancers?.[0]?.LoadBalancerArn,
    targets: async () => (await elb.send(new DescribeTargetGroupsCommand({ Names: [name] }))).TargetGroups?.[0]?.TargetGroupArn,
  };
  const [subnetA, subnetB] = ["0/26", "64/26"].map((block) => cidr.replace(/0\/24$/, block));
  return [
    {
      what: `repository ${name}`,
      make: () => ecr.send(new CreateRepositoryCommand({ repositoryName: name })),
      there: async () => (await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [name] }))).repositories?.length === 1,
      delete: () => ecr.send(new DeleteRepositoryCommand({ repositoryName: name, force: true })),
    },
    {
      what: `log group ${name}`,
      make: () => logs.send(new CreateLogGroupCommand({ logGroupName: name })),
      there: async () =>
        (await logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: name }))).logGroups?.some((group) => group.logGroupName === name) ??
        false,
      delete: () => logs.send(new DeleteLogGroupCommand({ logGroupName: name })),
    },
    {
      what: `role ${name}`,
      make: () => iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: TRUST_TASKS })),
      there: async () => (await iam.send(new GetRoleCommand({ RoleName: name }))).Role !== undefined,
      delete: () => iam.send(new DeleteRoleCommand({ RoleName: name })),
    },
    {
      what: `cluster ${name}`,
      make: () => ecs.send(new CreateClusterCommand({ clusterName: name })),
      there: async () => (await ecs.send(new DescribeClustersCommand({ clusters: [name] }))).clusters?.[0]?.status === "ACTIVE",
      delete: () => ecs.send(new DeleteClusterCommand({ cluster: name })),
    },
    {
      what: `task definition ${name}`,
      make: () => stack.define(name, [{ name: "app", command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.3; done"] }]),
      there: async () => (await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: `${name}:1` }))).taskDefinition?.status === "ACTIVE",
      delete: () => ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: `${name}:1` })),
    },
    {
      what: `service ${name}`,
      make: () =>
        ecs.send(
          new CreateServiceCommand({
            serviceName: name,
            taskDefinition: `${name}:1`,
            desiredCount: 1,
            launchType: "FARGATE",
            networkConfiguration: stack.network(),
          }),
        ),
      there: async () => (await ecs.send(new DescribeServicesCommand({ services: [name] }))).services?.[0]?.status === "ACTIVE",
      delete: () => ecs.send(new DeleteServiceCommand({ service: name, force: true })),
    },
    {
      what: `VPC ${name}`,
      make: () => ec2.send(new CreateVpcCommand({ CidrBlock: cidr, TagSpecifications: tag("vpc") })),
      there: async () => (await ids.vpc()) !== undefined,
      delete: async () => ec2.send(new DeleteVpcCommand({ VpcId: await ids.vpc() })),
    },
    {
      what: `subnets ${name}`,
      async make() {
        const VpcId = await ids.vpc();
        const place = { VpcId, TagSpecifications: tag("subnet") };
        await ec2.send(new CreateSubnetCommand({ ...place, CidrBlock: subnetA, AvailabilityZone: "us-east-1a" }));
        await ec2.send(new CreateSubnetCommand({ ...place, CidrBlock: subnetB, AvailabilityZone: "us-east-1b" }));
      },
      there: async () => (await ids.subnets()).length > 0,
      delete: async () => {
        for (const SubnetId of await ids.subnets()) await ec2.send(new DeleteSubnetCommand({ SubnetId }));
      },
    },
    {
      what: `security group ${name}`,
      make: async () => ec2.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: (await ids.vpc()) ?? "" })),
      there: async () => (await ids.group()) !== undefined,
      delete: async () => ec2.send(new DeleteSecurityGroupCommand({ GroupId: (await ids.group()) ?? "" })),
    },
    {
      what: `target group ${name}`,
      make: async () =>
        elb.send(new CreateTargetGroupCommand({ Name: name, Protocol: "HTTP", Port: 80, VpcId: (await ids.vpc()) ?? "", TargetType: "ip" })),
      there: async () => (await ids.targets()) !== undefined,
      delete: async () => elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: (await ids.targets()) ?? "" })),
    },
    {
      what: `load balancer ${name}`,
      make: async () =>
        elb.send(
          new CreateLoadBalancerCommand({
            Name: name,
            Scheme: "internal",
            Subnets: [...(await ids.subnets())],
            SecurityGroups: [(await ids.group()) ?? ""],
          }),
        ),
      there: async () => (await ids.balancer()) !== undefined,
      delete: async () => elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: (await ids.balancer()) ?? "" })),
    },
  ];
}
