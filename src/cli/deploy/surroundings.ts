import type { EC2Client, IpPermission } from "@aws-sdk/client-ec2";
import { CommandError } from "../command.ts";
import type { Session } from "../session.ts";

/** Everything a service needs around it. Each function makes what is missing and leaves what is there: a second deploy changes nothing. */

export async function ensureRepository(session: Session, name: string): Promise<string> {
  const { CreateRepositoryCommand, DescribeRepositoriesCommand, RepositoryNotFoundException } = await import("@aws-sdk/client-ecr");
  const ecr = await session.ecr();
  try {
    const answer = await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [name] }));
    return answer.repositories?.[0]?.repositoryUri ?? "";
  } catch (error) {
    if (!(error instanceof RepositoryNotFoundException)) throw error;
  }
  const created = await ecr.send(new CreateRepositoryCommand({ repositoryName: name }));
  return created.repository?.repositoryUri ?? "";
}

const EXECUTION_ROLE = "ecsTaskExecutionRole";
const EXECUTION_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";

/** The execution role that AWS's console makes, with AWS's managed policy. Answers its ARN. */
export function ensureExecutionRole(session: Session): Promise<string> {
  return ensureRole(session, { name: EXECUTION_ROLE, service: "ecs-tasks.amazonaws.com", policyArn: EXECUTION_POLICY });
}

/** A role that the service may take on, with one managed policy. One that is there stays as it is. Answers its ARN. */
export async function ensureRole(
  session: Session,
  role: { readonly name: string; readonly service: string; readonly policyArn: string },
): Promise<string> {
  const { AttachRolePolicyCommand, CreateRoleCommand, GetRoleCommand, NoSuchEntityException } = await import("@aws-sdk/client-iam");
  const iam = await session.iam();
  try {
    const answer = await iam.send(new GetRoleCommand({ RoleName: role.name }));
    return answer.Role?.Arn ?? "";
  } catch (error) {
    if (!(error instanceof NoSuchEntityException)) throw error;
  }
  const trust = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: role.service }, Action: "sts:AssumeRole" }],
  };
  const created = await iam.send(new CreateRoleCommand({ RoleName: role.name, AssumeRolePolicyDocument: JSON.stringify(trust) }));
  await iam.send(new AttachRolePolicyCommand({ RoleName: role.name, PolicyArn: role.policyArn }));
  return created.Role?.Arn ?? "";
}

export async function ensureLogGroup(session: Session, name: string): Promise<void> {
  const { CreateLogGroupCommand, ResourceAlreadyExistsException } = await import("@aws-sdk/client-cloudwatch-logs");
  const logs = await session.logs();
  await logs.send(new CreateLogGroupCommand({ logGroupName: name })).catch((error: unknown) => {
    if (!(error instanceof ResourceAlreadyExistsException)) throw error;
  });
}

export async function ensureCluster(session: Session, name: string): Promise<void> {
  const { CreateClusterCommand } = await import("@aws-sdk/client-ecs");
  const ecs = await session.ecs();
  await ecs.send(new CreateClusterCommand({ clusterName: name }));
}

export interface ServiceNetwork {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  readonly taskGroupId: string;
  readonly balancerGroupId: string;
}

/** The default VPC, with a subnet in each zone. */
export async function defaultVpc(session: Session): Promise<Pick<ServiceNetwork, "vpcId" | "subnetIds">> {
  const { DescribeSubnetsCommand, DescribeVpcsCommand } = await import("@aws-sdk/client-ec2");
  const ec2 = await session.ec2();
  const vpcs = await ec2.send(new DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["true"] }] }));
  const vpcId = vpcs.Vpcs?.[0]?.VpcId;
  if (vpcId === undefined) throw new CommandError("There is no default VPC in this region.");
  const filters = [
    { Name: "vpc-id", Values: [vpcId] },
    { Name: "default-for-az", Values: ["true"] },
  ];
  const subnets = await ec2.send(new DescribeSubnetsCommand({ Filters: filters }));
  return { vpcId, subnetIds: (subnets.Subnets ?? []).map((subnet) => subnet.SubnetId ?? "") };
}

/** The default VPC's subnets, a group for the load balancer (port 80 for all) and one for the tasks (their port for the load balancer alone). */
export async function ensureNetwork(session: Session, service: { readonly name: string; readonly port?: number }): Promise<ServiceNetwork> {
  const ec2 = await session.ec2();
  const { vpcId, subnetIds } = await defaultVpc(session);
  const balancerGroupId = await ensureGroup(ec2, { vpcId, name: `tidegate-${service.name}-lb`, description: `Load balancer of ${service.name}` });
  const taskGroupId = await ensureGroup(ec2, { vpcId, name: `tidegate-${service.name}`, description: `Tasks of ${service.name}` });
  if (service.port !== undefined) {
    await ensureIngress(ec2, balancerGroupId, { IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "0.0.0.0/0" }] });
    const fromBalancer = [{ GroupId: balancerGroupId }];
    await ensureIngress(ec2, taskGroupId, { IpProtocol: "tcp", FromPort: service.port, ToPort: service.port, UserIdGroupPairs: fromBalancer });
  }
  return { vpcId, subnetIds, taskGroupId, balancerGroupId };
}

async function ensureGroup(ec2: EC2Client, group: { readonly vpcId: string; readonly name: string; readonly description: string }): Promise<string> {
  const { CreateSecurityGroupCommand, DescribeSecurityGroupsCommand } = await import("@aws-sdk/client-ec2");
  const filters = [
    { Name: "vpc-id", Values: [group.vpcId] },
    { Name: "group-name", Values: [group.name] },
  ];
  const found = await ec2.send(new DescribeSecurityGroupsCommand({ Filters: filters }));
  const id = found.SecurityGroups?.[0]?.GroupId;
  if (id !== undefined) return id;
  const created = await ec2.send(new CreateSecurityGroupCommand({ GroupName: group.name, Description: group.description, VpcId: group.vpcId }));
  return created.GroupId ?? "";
}

async function ensureIngress(ec2: EC2Client, groupId: string, permission: IpPermission): Promise<void> {
  const { AuthorizeSecurityGroupIngressCommand } = await import("@aws-sdk/client-ec2");
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: groupId, IpPermissions: [permission] })).catch((error: unknown) => {
    if ((error as Error).name !== "InvalidPermission.Duplicate") throw error;
  });
}
