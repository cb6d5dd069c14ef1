import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeListenerAttributesCommand,
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  AddTagsCommand,
  CreateRuleCommand,
  DeleteRuleCommand,
  ModifyRuleCommand,
  SetRulePrioritiesCommand,
  ElasticLoadBalancingV2Client,
  ModifyListenerCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  ModifyTargetGroupCommand,
  RegisterTargetsCommand,
  RemoveTagsCommand,
  type CreateLoadBalancerInput,
  type CreateRuleInput,
  type CreateTargetGroupInput,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { createDaemonSupervisor } from "../../src/daemons/supervisor.ts";
import { createGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { createCredentialSource, type IamCredentials, type KeyPair } from "../../src/services/iam/credentials.ts";
import { createElbv2Service } from "../../src/services/elbv2/service.ts";
import type { NetworkLookup } from "../../src/services/elbv2/ports.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { call, createLab, type Lab, type LabTarget } from "../loadbalancer/support/lab.ts";
import { createRoom, loudLogger, type Room } from "../loadbalancer/support/room.ts";

/** ELBv2 behind the real gateway, over real HAProxy, called by the JS SDK, boto3's waiters and the aws CLI as they come. */

const ACCOUNT = "123456789012";
const VPC = "vpc-0000000000000000a";
const ZONES = { "subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-b2": "us-east-1b" };

let lab: Lab;
let room: Room;
let gateway: Gateway;
let credentials: IamCredentials;
let root: KeyPair;
let endpoint: string;
let elb: ElasticLoadBalancingV2Client;
let targets: readonly LabTarget[];

function lookup(vpcId: string): NetworkLookup {
  const groups = ["sg-default", "sg-web"];
  return {
    subnets: async (_scope, ids) => {
      return ids.flatMap((subnetId) => {
        const availabilityZone = ZONES[subnetId as keyof typeof ZONES] as string | undefined;
        return availabilityZone === undefined ? [] : [{ subnetId, vpcId, availabilityZone }];
      });
    },
    securityGroups: async (_scope, ids) => ids.filter((id) => groups.includes(id)).map((groupId) => ({ groupId, vpcId })),
    defaultSecurityGroup: async (_scope, id) => (id === vpcId ? "sg-default" : undefined),
  };
}

beforeAll(async () => {
  lab = await createLab();
  const store = createMemoryStore();
  const supervisor = await createDaemonSupervisor({ config: lab.config, clock: systemClock, logger: loudLogger });
  room = await createRoom(lab, { store, supervisor });
  await room.balancers.start();
  const config = { instanceId: lab.config.instanceId, account: ACCOUNT, region: "us-east-1", auth: "iam" as const };
  const toolbox = { clock: systemClock, ids: randomIds, logger: loudLogger };
  credentials = createCredentialSource({ store, config, ...toolbox });
  root = await credentials.ensureRootKeys();
  const services = [createElbv2Service({ balancing: room.balancers.api, network: lookup(lab.vpcId) })];
  gateway = createGateway({ config, services, credentials, ...toolbox });
  const { port } = await gateway.listen("127.0.0.1", 0);
  endpoint = `http://127.0.0.1:${port}`;
  elb = new ElasticLoadBalancingV2Client({ endpoint, region: "us-east-1", credentials: { ...root }, maxAttempts: 1 });
  targets = [await lab.target(), await lab.target()];
});

afterAll(async () => {
  elb.destroy();
  await gateway.close();
  credentials[Symbol.dispose]();
  await room.balancers.removeEverything();
  await lab.remove();
});

async function refused(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "not refused";
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message}`;
  }
}

async function makeBalancer(options: Partial<CreateLoadBalancerInput> = {}) {
  const Name = `lb-${randomIds.hex(6)}`;
  const made = await elb.send(new CreateLoadBalancerCommand({ Name, Subnets: ["subnet-a", "subnet-b"], SecurityGroups: ["sg-web"], ...options }));
  return made.LoadBalancers?.[0] ?? {};
}

async function makeGroup(options: Partial<CreateTargetGroupInput> = {}) {
  const kind = { Protocol: "HTTP", Port: 8080, TargetType: "ip" } as const;
  const made = await elb.send(new CreateTargetGroupCommand({ Name: `tg-${randomIds.hex(6)}`, VpcId: lab.vpcId, ...kind, ...options }));
  return made.TargetGroups?.[0] ?? {};
}

async function makeListener(LoadBalancerArn: string | undefined, TargetGroupArn: string | undefined, Port = 80) {
  const DefaultActions = [{ Type: "forward", TargetGroupArn }] as const;
  const made = await elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port, DefaultActions: [...DefaultActions] }));
  return made.Listeners?.[0] ?? {};
}

describe("ELBv2 through the JS SDK", () => {
  it("makes a load balancer as AWS describes it", async () => {
    const made = await makeBalancer({ Tags: [{ Key: "team", Value: "core" }] });
    const id = made.LoadBalancerArn?.split("/").at(-1);
    expect(made).toMatchObject({
      LoadBalancerArn: expect.stringMatching(
        new RegExp(`^arn:aws:elasticloadbalancing:us-east-1:${ACCOUNT}:loadbalancer/app/${made.LoadBalancerName}/[0-9a-f]{16}$`),
      ) as unknown,
      DNSName: `${made.LoadBalancerName}-${id}.us-east-1.elb.tidegate.internal`,
      Scheme: "internet-facing",
      VpcId: lab.vpcId,
      State: { Code: "provisioning" },
      Type: "application",
      SecurityGroups: ["sg-web"],
      IpAddressType: "ipv4",
    });
    expect(made.CreatedTime).toBeInstanceOf(Date);
    expect(made.AvailabilityZones?.map(({ ZoneName, SubnetId }) => [ZoneName, SubnetId])).toEqual([
      ["us-east-1a", "subnet-a"],
      ["us-east-1b", "subnet-b"],
    ]);
    const again = { Name: made.LoadBalancerName, Subnets: ["subnet-b", "subnet-a"], SecurityGroups: ["sg-web"] };
    expect((await elb.send(new CreateLoadBalancerCommand(again))).LoadBalancers?.[0]?.LoadBalancerArn).toBe(made.LoadBalancerArn);
    expect(await refused(elb.send(new CreateLoadBalancerCommand({ ...again, Scheme: "internal" })))).toBe(
      `DuplicateLoadBalancerNameException: A load balancer with the same name '${made.LoadBalancerName}' exists, but with different settings`,
    );
    const ResourceArns = [made.LoadBalancerArn ?? ""];
    await elb.send(new AddTagsCommand({ ResourceArns, Tags: [{ Key: "cost", Value: "1" }] }));
    await elb.send(new RemoveTagsCommand({ ResourceArns, TagKeys: ["team"] }));
    expect((await elb.send(new DescribeTagsCommand({ ResourceArns }))).TagDescriptions?.[0]?.Tags).toEqual([{ Key: "cost", Value: "1" }]);
  });

  it("reads and changes what Terraform does", async () => {
    const { LoadBalancerArn } = await makeBalancer();
    const { TargetGroupArn } = await makeGroup();
    const { ListenerArn } = await makeListener(LoadBalancerArn, TargetGroupArn);
    const Attributes = [
      { Key: "idle_timeout.timeout_seconds", Value: "90" },
      { Key: "access_logs.s3.enabled", Value: "false" },
    ];
    await elb.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes }));
    const attributes = (await elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn }))).Attributes ?? [];
    expect(attributes).toContainEqual({ Key: "idle_timeout.timeout_seconds", Value: "90" });
    expect(attributes).toContainEqual({ Key: "deletion_protection.enabled", Value: "false" });
    const logs = elb.send(
      new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes: [{ Key: "access_logs.s3.enabled", Value: "true" }] }),
    );
    expect(await refused(logs)).toContain("UnsupportedFeature: The attribute 'access_logs.s3.enabled' cannot be set to 'true'");
    const delay = [{ Key: "deregistration_delay.timeout_seconds", Value: "5" }];
    await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: delay }));
    const ofGroup = (await elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }))).Attributes ?? [];
    expect(ofGroup).toContainEqual(delay[0]);
    expect((await elb.send(new DescribeListenerAttributesCommand({ ListenerArn }))).Attributes).toBeDefined();
    expect((await elb.send(new DescribeRulesCommand({ ListenerArn }))).Rules).toMatchObject([{ Priority: "default", IsDefault: true }]);
    const changed = await elb.send(new ModifyTargetGroupCommand({ TargetGroupArn, HealthCheckPath: "/up", Matcher: { HttpCode: "200-299,404" } }));
    expect(changed.TargetGroups?.[0]).toMatchObject({
      HealthCheckPath: "/up",
      HealthCheckIntervalSeconds: 30,
      HealthyThresholdCount: 5,
      Matcher: { HttpCode: "200-299,404" },
      LoadBalancerArns: [LoadBalancerArn],
    });
    await elb.send(new ModifyListenerCommand({ ListenerArn, Port: 8081 }));
    expect((await elb.send(new DescribeListenersCommand({ LoadBalancerArn }))).Listeners).toMatchObject([
      { ListenerArn, Port: 8081, DefaultActions: [{ Type: "forward", TargetGroupArn, ForwardConfig: { TargetGroups: [{ TargetGroupArn }] } }] },
    ]);
    expect((await elb.send(new DescribeTargetGroupsCommand({ LoadBalancerArn }))).TargetGroups?.map((group) => group.TargetGroupArn)).toEqual([
      TargetGroupArn,
    ]);
  });

  it("says of targets what ELBv2 says", async () => {
    const { TargetGroupArn } = await makeGroup();
    await elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "10.1.2.3", AvailabilityZone: "all" }] }));
    const unused = (await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn, Targets: [{ Id: "10.9.9.9" }] }))).TargetHealthDescriptions;
    expect(unused).toEqual([
      {
        Target: { Id: "10.9.9.9", Port: 8080 },
        HealthCheckPort: "8080",
        TargetHealth: { State: "unused", Reason: "Target.NotRegistered", Description: "Target is not registered to the target group" },
      },
    ]);
    expect(await refused(elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "i-123" }] })))).toMatch(
      /'i-123' is not a valid IPv4/,
    );
  });

  const keepClients = async (): Promise<unknown> => {
    const { TargetGroupArn } = await makeGroup({ Protocol: "TCP" });
    return elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes: [{ Key: "preserve_client_ip.enabled", Value: "true" }] }));
  };
  const rule = (ListenerArn: string | undefined, Priority: number): CreateRuleInput => ({
    ListenerArn,
    Priority,
    Conditions: [{ Field: "path-pattern", Values: ["/api/*"] }],
    Actions: [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "404" } }],
  });

  it("makes rules, orders them anew, and shows them before the default one", async () => {
    const { LoadBalancerArn } = await makeBalancer();
    const [one, two] = [await makeGroup(), await makeGroup()];
    const { ListenerArn } = await makeListener(LoadBalancerArn, one.TargetGroupArn);
    const first = (await elb.send(new CreateRuleCommand({ ...rule(ListenerArn, 10), Tags: [{ Key: "a", Value: "b" }] }))).Rules?.[0] ?? {};
    expect(first).toMatchObject({
      RuleArn: expect.stringMatching(/:listener-rule\/app\/lb-[0-9a-f]{6}(\/[0-9a-f]{16}){3}$/) as unknown,
      Priority: "10",
      Conditions: [{ Field: "path-pattern", Values: ["/api/*"], PathPatternConfig: { Values: ["/api/*"] } }],
      IsDefault: false,
    });
    expect(await refused(elb.send(new CreateRuleCommand(rule(ListenerArn, 10))))).toBe("PriorityInUseException: Priority '10' is currently in use");
    const TargetGroups = [one, two].map(({ TargetGroupArn }, index) => ({ TargetGroupArn, Weight: index + 1 }));
    const weighted = { ...rule(ListenerArn, 20), Actions: [{ Type: "forward" as const, ForwardConfig: { TargetGroups } }] };
    const second = (await elb.send(new CreateRuleCommand(weighted))).Rules?.[0] ?? {};
    expect(second.Actions?.[0]).toMatchObject({ Type: "forward", ForwardConfig: { TargetGroups } });
    const RulePriorities = [
      { RuleArn: first.RuleArn, Priority: 20 },
      { RuleArn: second.RuleArn, Priority: 10 },
    ];
    await elb.send(new SetRulePrioritiesCommand({ RulePriorities }));
    const rules = (await elb.send(new DescribeRulesCommand({ ListenerArn }))).Rules ?? [];
    expect(rules.map(({ RuleArn, Priority }) => [RuleArn, Priority])).toEqual([
      [second.RuleArn, "10"],
      [first.RuleArn, "20"],
      [rules[2]?.RuleArn, "default"],
    ]);
    expect(await refused(elb.send(new DeleteRuleCommand({ RuleArn: rules[2]?.RuleArn })))).toContain("OperationNotPermittedException: Default rule");
    const many = [{ Field: "host-header", HostHeaderConfig: { Values: ["a", "b", "c", "d", "e", "f"] } }];
    expect(await refused(elb.send(new ModifyRuleCommand({ RuleArn: first.RuleArn, Conditions: many })))).toContain(
      "can only have '5' condition values",
    );
    expect((await elb.send(new DescribeTagsCommand({ ResourceArns: [first.RuleArn ?? ""] }))).TagDescriptions?.[0]?.Tags).toEqual([
      { Key: "a", Value: "b" },
    ]);
    expect(await refused(elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: two.TargetGroupArn })))).toContain("in use by a listener or a rule");
    for (const RuleArn of [first.RuleArn, second.RuleArn]) await elb.send(new DeleteRuleCommand({ RuleArn }));
    await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: two.TargetGroupArn }));
  });

  it("makes network load balancers, with TCP alone", async () => {
    const made = await makeBalancer({ Type: "network", Subnets: ["subnet-a"], SecurityGroups: [] });
    expect(made).toMatchObject({ Type: "network", LoadBalancerArn: expect.stringContaining(":loadbalancer/net/") as unknown });
    expect(made.SecurityGroups ?? []).toEqual([]);
    const group = await makeGroup({ Protocol: "TCP" });
    expect(group).toMatchObject({ Protocol: "TCP", HealthCheckProtocol: "TCP", HealthCheckTimeoutSeconds: 10 });
    const { LoadBalancerArn } = made;
    const listen = (Protocol: "TCP" | "UDP" | "TLS", TargetGroupArn = group.TargetGroupArn) =>
      elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol, Port: 80, DefaultActions: [{ Type: "forward", TargetGroupArn }] }));
    for (const protocol of ["UDP", "TLS"] as const)
      expect(await refused(listen(protocol))).toContain(`Listeners of protocol '${protocol}' are not built yet`);
    expect(await refused(listen("TCP", (await makeGroup()).TargetGroupArn))).toContain("cannot be used by a listener of protocol 'TCP'");
    const { ListenerArn } = (await listen("TCP")).Listeners?.[0] ?? {};
    expect(await refused(elb.send(new CreateRuleCommand(rule(ListenerArn, 1))))).toContain("Rules are not supported with a Network Load Balancer");
    await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ["one subnet", () => makeBalancer({ Subnets: ["subnet-a"] }), "At least two subnets in two different Availability Zones must be specified"],
    [
      "two subnets of a zone",
      () => makeBalancer({ Subnets: ["subnet-a", "subnet-b", "subnet-b2"] }),
      "multiple subnets in the same Availability Zone",
    ],
    [
      "an unknown subnet",
      () => makeBalancer({ Subnets: ["subnet-a", "subnet-x"] }),
      "SubnetNotFoundException: The subnet ID 'subnet-x' does not exist",
    ],
    ["an unknown group", () => makeBalancer({ SecurityGroups: ["sg-x"] }), "InvalidSecurityGroupException: The security group 'sg-x' does not exist"],
    ["a name with an underscore", () => makeBalancer({ Name: "a_b" }), "The load balancer name 'a_b' can only contain"],
    ["a gateway load balancer", () => makeBalancer({ Type: "gateway" }), "Load balancers of type 'gateway' are not built yet"],
    ["UDP targets", () => makeGroup({ Protocol: "UDP" }), "Target groups of protocol 'UDP' are not built yet"],
    ["client addresses kept by HAProxy", keepClients, "The attribute 'preserve_client_ip.enabled' cannot be set to 'true'"],
    ["a rule of a listener that is not there", () => elb.send(new CreateRuleCommand(rule("arn:x", 1))), "One or more listeners not found"],
    ["IPv6", () => makeBalancer({ IpAddressType: "dualstack" }), "IpAddressType"],
    ["an instance group", () => makeGroup({ TargetType: "instance" }), "Target groups of target type 'instance' are not built yet"],
    ["a group elsewhere", () => makeGroup({ VpcId: VPC }), `The VPC ID '${VPC}' is not found`],
    ["a timeout over the interval", () => makeGroup({ HealthCheckTimeoutSeconds: 30 }), "timeout must be smaller than the interval"],
    ["a matcher of 5xx", () => makeGroup({ Matcher: { HttpCode: "500" } }), "must be within '200-499'"],
    ["an unknown load balancer", () => elb.send(new DescribeLoadBalancersCommand({ Names: ["nope"] })), "Load balancers '[nope]' not found"],
  ])("refuses %s with AWS's error", async (_case, work, message) => {
    expect(await refused(work())).toContain(message);
  });

  it("refuses what would break another resource", async () => {
    const [first, second] = [await makeBalancer(), await makeBalancer()];
    const { TargetGroupArn } = await makeGroup();
    await makeListener(first.LoadBalancerArn, TargetGroupArn);
    expect(await refused(makeListener(first.LoadBalancerArn, TargetGroupArn))).toContain(
      "DuplicateListenerException: A listener already exists on this port",
    );
    expect(await refused(makeListener(second.LoadBalancerArn, TargetGroupArn))).toContain("cannot be associated with more than one load balancer");
    expect(await refused(elb.send(new DeleteTargetGroupCommand({ TargetGroupArn })))).toBe(
      `ResourceInUseException: Target group '${TargetGroupArn}' is currently in use by a listener or a rule`,
    );
    const { LoadBalancerArn } = first;
    const protect = (Value: string) =>
      elb.send(new ModifyLoadBalancerAttributesCommand({ LoadBalancerArn, Attributes: [{ Key: "deletion_protection.enabled", Value }] }));
    await protect("true");
    expect(await refused(elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn })))).toContain("deletion protection is enabled");
    await protect("false");
    await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
    await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
  });
});

const run = promisify(execFile);

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, AWS_ACCESS_KEY_ID: root.accessKeyId, AWS_SECRET_ACCESS_KEY: root.secretAccessKey, AWS_DEFAULT_REGION: "us-east-1" };
}

describe("ELBv2 through boto3 and the aws CLI", () => {
  it("boto3: every waiter, from nothing to traffic and back", async () => {
    const script = `
import boto3, sys
endpoint, vpc, one, two = sys.argv[1:5]
elb = boto3.client("elbv2", endpoint_url=endpoint)
fast = {"Delay": 1, "MaxAttempts": 40}
lb = elb.create_load_balancer(Name="boto", Subnets=["subnet-a", "subnet-b"], SecurityGroups=["sg-web"])["LoadBalancers"][0]
arn = lb["LoadBalancerArn"]
tg = elb.create_target_group(Name="boto", Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip", HealthCheckPath="/health",
    HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": tg}])
targets = [{"Id": one}, {"Id": two, "Port": 8080}]
elb.register_targets(TargetGroupArn=tg, Targets=targets)
elb.get_waiter("load_balancer_exists").wait(Names=["boto"], WaiterConfig=fast)
elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig=fast)
elb.get_waiter("target_in_service").wait(TargetGroupArn=tg, Targets=targets, WaiterConfig=fast)
print([d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=tg)["TargetHealthDescriptions"]])
elb.deregister_targets(TargetGroupArn=tg, Targets=[{"Id": one}])
elb.get_waiter("target_deregistered").wait(TargetGroupArn=tg, Targets=[{"Id": one}], WaiterConfig=fast)
print(len(list(elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1}))) > 1)
elb.delete_load_balancer(LoadBalancerArn=arn)
elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=fast)
elb.delete_target_group(TargetGroupArn=tg)
try:
    elb.describe_target_groups(TargetGroupArns=[tg])
except elb.exceptions.TargetGroupNotFoundException as error:
    print(error.response["Error"]["Message"])
`;
    const [one, two] = targets;
    const { stdout } = await run("python3", ["-c", script, endpoint, lab.vpcId, one?.ip ?? "", two?.ip ?? ""], { env: environment() });
    expect(stdout.trim().split("\n")).toEqual(["['healthy', 'healthy']", "True", "One or more target groups not found"]);
  });

  it("aws CLI: a load balancer that carries traffic", async () => {
    const aws = async (...args: readonly string[]): Promise<string> => {
      const { stdout } = await run("aws", ["--endpoint-url", endpoint, "--output", "text", "elbv2", ...args], { env: environment() });
      return stdout.trim();
    };
    const arn = await aws(
      "create-load-balancer",
      "--name",
      "cli",
      "--subnets",
      "subnet-a",
      "subnet-b",
      "--query",
      "LoadBalancers[0].LoadBalancerArn",
    );
    const health = ["--health-check-path", "/health", "--health-check-interval-seconds", "5", "--health-check-timeout-seconds", "2"];
    const kind = ["--protocol", "HTTP", "--port", "8080", "--target-type", "ip", "--vpc-id", lab.vpcId];
    const group = await aws("create-target-group", "--name", "cli", ...kind, ...health, "--query", "TargetGroups[0].TargetGroupArn");
    const actions = `Type=forward,TargetGroupArn=${group}`;
    await aws("create-listener", "--load-balancer-arn", arn, "--protocol", "HTTP", "--port", "80", "--default-actions", actions);
    await aws("register-targets", "--target-group-arn", group, "--targets", `Id=${targets[0]?.ip}`);
    await aws("wait", "load-balancer-available", "--load-balancer-arns", arn);
    await aws("wait", "target-in-service", "--target-group-arn", group);
    const view = (await room.balancers.api.loadBalancers({ account: ACCOUNT, region: "us-east-1" })).find(({ record }) => record.arn === arn);
    const answer = await call(`http://${view?.status.addresses[0]?.ip}/`);
    expect([answer.status, (JSON.parse(answer.body) as { target: string }).target]).toEqual([200, `${targets[0]?.ip}:8080`]);
    await aws("delete-load-balancer", "--load-balancer-arn", arn);
  });
});
