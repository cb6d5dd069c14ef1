/** The parts most end-to-end tests begin with: clients, the tiny image in the registry, a role, a log group, a cluster, groups. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import {
  type ContainerDefinition,
  CreateClusterCommand,
  DescribeTasksCommand,
  ECSClient,
  type NetworkConfiguration,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  RunTaskCommand,
  type RunTaskCommandInput,
  type Task,
} from "@aws-sdk/client-ecs";
import { EKSClient } from "@aws-sdk/client-eks";
import { ElasticLoadBalancingV2Client } from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { STSClient } from "@aws-sdk/client-sts";
import { run } from "../../src/host/run.ts";
import { type TestInstance, until } from "./instance.ts";
import { writeTinyImage, type TinyImageOptions } from "./tiny-image.ts";

export const LOG_GROUP = "/test";
export const TRUST_TASKS = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" }],
});

export interface Rule {
  readonly port: number;
  readonly fromCidr?: string;
  readonly fromGroup?: string;
}

export interface Stack {
  readonly ecs: ECSClient;
  readonly ec2: EC2Client;
  readonly ecr: ECRClient;
  readonly eks: EKSClient;
  readonly elb: ElasticLoadBalancingV2Client;
  readonly iam: IAMClient;
  readonly logs: CloudWatchLogsClient;
  readonly sts: STSClient;
  /** The tiny image, in this instance's registry. */
  readonly image: string;
  readonly vpcId: string;
  readonly subnets: readonly string[];
  readonly roleArn: string;
  group(name: string, rules?: readonly Rule[]): Promise<string>;
  network(...groups: readonly string[]): NetworkConfiguration;
  /** Registers a Fargate task definition of 256 CPU units and 512 MiB unless told otherwise; containers log to {@link LOG_GROUP}, and are killed 2 s after SIGTERM. */
  define(
    family: string,
    containers: readonly (Partial<ContainerDefinition> & { readonly name: string })[],
    options?: Partial<RegisterTaskDefinitionCommandInput>,
  ): Promise<string>;
  /** Runs one task. */
  start(taskDefinition: string, groups?: readonly string[], options?: Partial<RunTaskCommandInput>): Promise<string>;
  task(taskArn: string): Promise<Task>;
  /** Waits until the task has this status. */
  reach(taskArn: string, status: "RUNNING" | "STOPPED"): Promise<Task>;
  /** What a container of a task has logged, in the order of the stream. */
  lines(taskArn: string, container: string): Promise<readonly string[]>;
}

/** What a client of the SDK needs for an instance. */
export function clientOptions({ endpoint, environment }: Pick<TestInstance, "endpoint" | "environment">) {
  const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "", AWS_REGION: region = "" } = environment;
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey }, disableHostPrefix: true };
}

export async function createStack(instance: TestInstance): Promise<Stack> {
  const options = clientOptions(instance);
  const { region } = options;
  const [ecs, ec2, ecr] = [new ECSClient(options), new EC2Client(options), new ECRClient(options)];
  const [logs, iam] = [new CloudWatchLogsClient(options), new IAMClient(options)];
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "tiny" }));
  const image = `localhost:${instance.port}/tiny:1`;
  // An instance in a machine of its own is reached at another port than it has there.
  await pushTiny(`localhost:${new URL(instance.endpoint).port}/tiny:1`, await ecrLogin(ecr));
  await logs.send(new CreateLogGroupCommand({ logGroupName: LOG_GROUP }));
  await ecs.send(new CreateClusterCommand({ clusterName: "default" }));
  const { Role } = await iam.send(new CreateRoleCommand({ RoleName: "tasks", AssumeRolePolicyDocument: TRUST_TASKS }));
  const roleArn = Role?.Arn ?? "";
  const { Vpcs } = await ec2.send(new DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["true"] }] }));
  const vpcId = Vpcs?.[0]?.VpcId ?? "";
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "vpc-id", Values: [vpcId] }] }));
  const subnets = (Subnets ?? []).map((subnet) => subnet.SubnetId ?? "");
  const logConfiguration = {
    logDriver: "awslogs" as const,
    options: { "awslogs-group": LOG_GROUP, "awslogs-region": region, "awslogs-stream-prefix": "test" },
  };
  const network = (...groups: readonly string[]): NetworkConfiguration => ({
    awsvpcConfiguration: { subnets: [...subnets], assignPublicIp: "ENABLED", ...(groups.length === 0 ? {} : { securityGroups: [...groups] }) },
  });
  const task = async (taskArn: string): Promise<Task> => {
    const { tasks } = await ecs.send(new DescribeTasksCommand({ tasks: [taskArn] }));
    if (tasks?.[0] === undefined) throw new Error(`${taskArn} is not there`);
    return tasks[0];
  };
  return {
    ecs,
    ec2,
    ecr,
    eks: new EKSClient(options),
    elb: new ElasticLoadBalancingV2Client(options),
    iam,
    logs,
    sts: new STSClient(options),
    image,
    vpcId,
    subnets,
    roleArn,
    network,
    task,
    async group(name, rules = []) {
      const { GroupId = "" } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name, VpcId: vpcId }));
      if (rules.length > 0) await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: rules.map(permission) }));
      return GroupId;
    },
    async define(family, containers, more = {}) {
      const { taskDefinition } = await ecs.send(
        new RegisterTaskDefinitionCommand({
          family,
          requiresCompatibilities: ["FARGATE"],
          networkMode: "awsvpc",
          cpu: "256",
          memory: "512",
          executionRoleArn: roleArn,
          containerDefinitions: containers.map((container) => ({ image, logConfiguration, stopTimeout: 2, ...container })),
          ...more,
        }),
      );
      return taskDefinition?.taskDefinitionArn ?? "";
    },
    async start(taskDefinition, groups = [], more = {}) {
      const { tasks, failures } = await ecs.send(
        new RunTaskCommand({ taskDefinition, launchType: "FARGATE", networkConfiguration: network(...groups), ...more }),
      );
      if (tasks?.[0]?.taskArn === undefined) throw new Error(`RunTask: ${JSON.stringify(failures)}`);
      return tasks[0].taskArn;
    },
    async reach(taskArn, status) {
      const reached = await until(`${taskArn} is ${status}`, async () => {
        const now = await task(taskArn);
        return now.lastStatus === status || now.lastStatus === "STOPPED" ? now : undefined;
      });
      if (reached.lastStatus !== status) throw new Error(`${taskArn} stopped: ${reached.stoppedReason}`);
      return reached;
    },
    async lines(taskArn, container) {
      const { events } = await logs.send(
        new GetLogEventsCommand({ logGroupName: LOG_GROUP, logStreamName: `test/${container}/${taskIdOf(taskArn)}`, startFromHead: true }),
      );
      return (events ?? []).map((event) => event.message ?? "");
    },
  };
}

function permission({ port, fromCidr, fromGroup }: Rule) {
  return {
    IpProtocol: "tcp",
    FromPort: port,
    ToPort: port,
    ...(fromCidr === undefined ? {} : { IpRanges: [{ CidrIp: fromCidr }] }),
    ...(fromGroup === undefined ? {} : { UserIdGroupPairs: [{ GroupId: fromGroup }] }),
  };
}

export async function ecrLogin(ecr: ECRClient): Promise<string> {
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  return Buffer.from(authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
}

/** Makes the tiny image and pushes it with skopeo; `login` is `user:password`. */
export async function pushTiny(reference: string, login: string, options: TinyImageOptions = {}): Promise<{ readonly digest: string }> {
  const folder = await mkdtemp(join(tmpdir(), "tidegate-tiny-"));
  try {
    const archive = join(folder, "tiny.tar");
    const { digest } = await writeTinyImage(archive, options);
    const command = [
      "skopeo",
      "copy",
      "--quiet",
      "--dest-tls-verify=false",
      "--dest-creds",
      login,
      `oci-archive:${archive}`,
      `docker://${reference}`,
    ];
    await run(command, { timeoutMs: 120_000 });
    return { digest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The last part of a task's ARN. */
export function taskIdOf(taskArn: string): string {
  return taskArn.slice(taskArn.lastIndexOf("/") + 1);
}

/** A task's address in its VPC. */
export function addressOf(task: Task): string {
  return task.attachments?.[0]?.details?.find((detail) => detail.name === "privateIPv4Address")?.value ?? "";
}
