import { DescribeLogGroupsCommand, DescribeLogStreamsCommand, paginateFilterLogEvents, PutLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateLogStreamCommand, ResourceNotFoundException } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeNetworkInterfacesCommand, DescribeSecurityGroupsCommand, paginateDescribeSubnets } from "@aws-sdk/client-ec2";
import { DescribeRepositoriesCommand, ListImagesCommand, RepositoryNotFoundException } from "@aws-sdk/client-ecr";
import {
  ClientException,
  ClusterNotFoundException,
  DescribeClustersCommand,
  ECSClient,
  ListTasksCommand,
  RunTaskCommand,
  StopTaskCommand,
  waitUntilTasksRunning,
  waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import {
  CreateLoadBalancerCommand,
  DeleteLoadBalancerCommand,
  LoadBalancerNotFoundException,
  DescribeLoadBalancersCommand,
  waitUntilLoadBalancerAvailable,
  waitUntilLoadBalancersDeleted,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { AttachRolePolicyCommand, GetRoleCommand, ListAttachedRolePoliciesCommand, NoSuchEntityException } from "@aws-sdk/client-iam";
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeWithoutTrace } from "../support/host-state.ts";
import { startInstance, until, type TestInstance } from "../support/instance.ts";
import { addressOf, createStack, LOG_GROUP, type Stack, taskIdOf } from "../support/stack.ts";

const MANAGED = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";

let instance: TestInstance;
let stack: Stack;

beforeAll(async () => {
  instance = await startInstance();
  stack = await createStack(instance);
});

afterAll(() => removeWithoutTrace(instance));

describe("the SDK's client of", () => {
  test("STS knows the caller; a role that is assumed is another", async () => {
    expect(await stack.sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ Account: "100000000000", Arn: "arn:aws:iam::100000000000:root" });
    const { Credentials } = await stack.sts.send(new AssumeRoleCommand({ RoleArn: stack.roleArn, RoleSessionName: "me" }));
    const assumed = new STSClient({ endpoint: instance.endpoint, region: "us-east-1", credentials: sessionOf(Credentials) });
    expect((await assumed.send(new GetCallerIdentityCommand({}))).Arn).toBe("arn:aws:sts::100000000000:assumed-role/tasks/me");
  });

  test("IAM attaches AWS-managed policies, and names what is not there", async () => {
    await stack.iam.send(new AttachRolePolicyCommand({ RoleName: "tasks", PolicyArn: MANAGED }));
    const { AttachedPolicies } = await stack.iam.send(new ListAttachedRolePoliciesCommand({ RoleName: "tasks" }));
    expect(AttachedPolicies).toEqual([{ PolicyName: "AmazonECSTaskExecutionRolePolicy", PolicyArn: MANAGED }]);
    await expect(stack.iam.send(new GetRoleCommand({ RoleName: "nobody" }))).rejects.toThrow(NoSuchEntityException);
  });

  test("ECR describes repositories and images", async () => {
    const { repositories } = await stack.ecr.send(new DescribeRepositoriesCommand({}));
    expect(repositories).toMatchObject([{ repositoryName: "tiny", repositoryUri: `localhost:${instance.port}/tiny`, createdAt: expect.any(Date) }]);
    const { imageIds } = await stack.ecr.send(new ListImagesCommand({ repositoryName: "tiny" }));
    expect(imageIds).toMatchObject([{ imageTag: "1", imageDigest: expect.stringMatching(/^sha256:/) }]);
    await expect(stack.ecr.send(new ListImagesCommand({ repositoryName: "nothing" }))).rejects.toThrow(RepositoryNotFoundException);
  });

  test("EC2 pages through subnets, and shows the interface of a task", async () => {
    const pages = await Array.fromAsync(paginateDescribeSubnets({ client: stack.ec2 }, {}));
    expect(pages.flatMap((page) => page.Subnets ?? []).map((subnet) => subnet.SubnetId)).toEqual(expect.arrayContaining([...stack.subnets]));
    const { SecurityGroups } = await stack.ec2.send(new DescribeSecurityGroupsCommand({ Filters: [{ Name: "group-name", Values: ["default"] }] }));
    const taskArn = await stack.start(await stack.define("eni", [{ name: "app", command: ["sleep", "71201"] }]));
    const task = await stack.reach(taskArn, "RUNNING");
    const { NetworkInterfaces } = await stack.ec2.send(
      new DescribeNetworkInterfacesCommand({ Filters: [{ Name: "addresses.private-ip-address", Values: [addressOf(task)] }] }),
    );
    expect(NetworkInterfaces).toMatchObject([{ VpcId: stack.vpcId, Groups: [{ GroupId: SecurityGroups?.[0]?.GroupId }], Status: "in-use" }]);
    await stack.ecs.send(new StopTaskCommand({ task: taskArn }));
  });

  test("ELBv2 waits for a load balancer to come and to go", async () => {
    const { LoadBalancers } = await stack.elb.send(new CreateLoadBalancerCommand({ Name: "sdk", Subnets: [...stack.subnets] }));
    const arns = { LoadBalancerArns: [LoadBalancers?.[0]?.LoadBalancerArn ?? ""] };
    const patience = { client: stack.elb, maxWaitTime: 60, minDelay: 1, maxDelay: 2 };
    expect((await waitUntilLoadBalancerAvailable(patience, arns)).state).toBe("SUCCESS");
    await stack.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: arns.LoadBalancerArns[0] }));
    expect((await waitUntilLoadBalancersDeleted(patience, arns)).state).toBe("SUCCESS");
    await expect(stack.elb.send(new DescribeLoadBalancersCommand(arns))).rejects.toThrow(LoadBalancerNotFoundException);
  });

  test("ECS runs tasks, waits for them, and raises its own exceptions", async () => {
    const { clusters } = await stack.ecs.send(new DescribeClustersCommand({ clusters: ["default"] }));
    expect(clusters).toMatchObject([{ clusterName: "default", status: "ACTIVE" }]);
    const definition = await stack.define("two", [{ name: "app", command: ["sleep", "71202"] }]);
    const { tasks = [] } = await stack.ecs.send(
      new RunTaskCommand({ taskDefinition: definition, launchType: "FARGATE", count: 2, networkConfiguration: stack.network() }),
    );
    const arns = { tasks: tasks.map((task) => task.taskArn ?? "") };
    const patience = { client: stack.ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 2 };
    expect((await waitUntilTasksRunning(patience, arns)).state).toBe("SUCCESS");
    await Promise.all(arns.tasks.map((task) => stack.ecs.send(new StopTaskCommand({ task }))));
    expect((await waitUntilTasksStopped(patience, arns)).state).toBe("SUCCESS");
    await expect(stack.ecs.send(new ListTasksCommand({ cluster: "nowhere" }))).rejects.toThrow(ClusterNotFoundException);
    const unknown = new RunTaskCommand({ taskDefinition: "nothing", launchType: "FARGATE", networkConfiguration: stack.network() });
    await expect(stack.ecs.send(unknown)).rejects.toThrow(ClientException);
  });

  test("CloudWatch Logs writes and pages through events", async () => {
    const stream = { logGroupName: LOG_GROUP, logStreamName: "by-hand" };
    await stack.logs.send(new CreateLogStreamCommand(stream));
    const { logGroups } = await stack.logs.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: LOG_GROUP }));
    const timestamp = logGroups?.[0]?.creationTime ?? 0;
    const logEvents = Array.from({ length: 30 }, (_, index) => ({ timestamp: timestamp + index, message: `event ${index}` }));
    await stack.logs.send(new PutLogEventsCommand({ ...stream, logEvents }));
    const pages = paginateFilterLogEvents({ client: stack.logs, pageSize: 8 }, { logGroupName: LOG_GROUP, logStreamNames: ["by-hand"] });
    const read = (await Array.fromAsync(pages))
      .flatMap((page) => page.events ?? [])
      .map(({ timestamp: atMs, message }) => ({ timestamp: atMs, message }));
    expect(read).toEqual(logEvents);
    await expect(stack.logs.send(new DescribeLogStreamsCommand({ logGroupName: "/nothing" }))).rejects.toThrow(ResourceNotFoundException);
  });
});

interface TaskCredentials {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token: string;
  readonly Expiration: string;
}

function sessionOf(credentials: { AccessKeyId?: string; SecretAccessKey?: string; SessionToken?: string } | undefined) {
  const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = credentials ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

describe("what the SDK needs inside a task", () => {
  test("is there unaided: the APIs, the task role's credentials and no one else's, the metadata", async () => {
    const ask = [
      "wget -qO- $AWS_ENDPOINT_URL/healthz; echo",
      "wget -qO- http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo",
      "echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
      "wget -qO- $ECS_CONTAINER_METADATA_URI_V4; echo",
      // Another task's credentials, where there is one.
      'test -z "$OTHER" || wget -S -O /dev/null http://169.254.170.2$OTHER 2>&1 | grep HTTP/',
      "exec sleep 71203",
    ].join("; ");
    const definition = await stack.define("sdk", [{ name: "app", command: ["sh", "-c", ask] }], { taskRoleArn: stack.roleArn });
    const first = await stack.start(definition);
    const lines = await until("the first has asked", async () => atLeast(4, await stack.lines(first, "app")));
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ serving: true });
    const { AccessKeyId, SecretAccessKey, Token, Expiration } = JSON.parse(lines[1] ?? "") as TaskCredentials;
    expect(Date.parse(Expiration)).toBeGreaterThan(Number((await stack.task(first)).createdAt));
    expect(JSON.parse(lines[3] ?? "")).toMatchObject({ Name: "app", Labels: { "com.amazonaws.ecs.task-arn": first } });

    const credentials = { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token };
    const options = { endpoint: instance.endpoint, region: "us-east-1", credentials };
    const { Arn } = await new STSClient(options).send(new GetCallerIdentityCommand({}));
    expect(Arn).toBe(`arn:aws:sts::100000000000:assumed-role/tasks/${taskIdOf(first)}`);
    expect((await new ECSClient(options).send(new ListTasksCommand({}))).taskArns).toContain(first);

    const environment = [{ name: "OTHER", value: lines[2] ?? "" }];
    const second = await stack.start(definition, [], { overrides: { containerOverrides: [{ name: "app", environment }] } });
    const answers = await until("the second has asked", async () => atLeast(5, await stack.lines(second, "app")));
    expect(answers[2]).not.toBe(lines[2]);
    expect(answers[4]).toMatch(/HTTP\/1\.1 400/);
    await Promise.all([first, second].map((task) => stack.ecs.send(new StopTaskCommand({ task }))));
  });
});

function atLeast<T>(count: number, list: readonly T[]): readonly T[] | undefined {
  return list.length >= count ? list : undefined;
}
