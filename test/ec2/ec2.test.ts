/** EC2's API on its own wire, over the real network's records. */
import { EC2Client } from "@aws-sdk/client-ec2";
import * as ec2 from "@aws-sdk/client-ec2";
import { beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { seededIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createNetwork } from "../../src/network/vpc-network.ts";
import type { VpcNetwork } from "../../src/network/vpc-network.ts";
import { createServiceCodec } from "../../src/protocol/service-codec.ts";
import type { ServiceCodec } from "../../src/protocol/service-codec.ts";
import { createEc2Service } from "../../src/services/ec2/service.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";

const SCOPE = { account: "123456789012", region: "eu-west-1" };
let network: VpcNetwork;
let client: EC2Client;

/** The SDK's own client, its requests carried straight into the service. */
function clientOf(codec: ServiceCodec, region = SCOPE.region): EC2Client {
  const context = {
    ...SCOPE,
    region,
    requestId: "r-1",
    principal: { arn: "arn:aws:iam::123456789012:root", userId: SCOPE.account, accessKeyId: "AKIA" },
    nowMs: 0,
    logger: silentLogger,
    host: "localhost:4566",
  };
  return new EC2Client({
    region,
    maxAttempts: 1,
    credentials: { accessKeyId: "AKIA", secretAccessKey: "x" },
    requestHandler: {
      metadata: { handlerProtocol: "http/1.1" },
      async handle(request: { method: string; path: string; headers: Record<string, string>; body: string }) {
        const { status, headers, body } = await codec.invoke(
          { method: request.method, path: request.path, query: "", headers: request.headers, body: Buffer.from(request.body) },
          context,
        );
        return { response: { statusCode: status, headers: { ...headers }, body: Buffer.from(body) } };
      },
    } as never,
  });
}

let codec: ServiceCodec;

beforeEach(async () => {
  const toolbox = { clock: systemClock, ids: seededIds("ec2"), logger: silentLogger };
  network = await createNetwork({
    ...toolbox,
    config: {
      instanceId: "ab12cd",
      dataDir: "/nonexistent",
      runDir: "/nonexistent",
      port: 4566,
      ...SCOPE,
      vpcCidr: "172.31.0.0/16",
      auth: "none",
      engine: "simulated",
      hostPorts: [],
      publish: [],
      manageHosts: false,
      trustHostCa: false,
    },
    store: createMemoryStore(),
    supervisor: undefined as never,
  });
  await network.start();
  codec = await createServiceCodec(createEc2Service({ network: network.admin, toolbox }));
  client = clientOf(codec);
});

const http80 = (cidr: string) => ({ IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: cidr }] });
const newGroup = async (name: string) => (await client.send(new ec2.CreateSecurityGroupCommand({ GroupName: name, Description: "d" }))).GroupId ?? "";
const failure = (code: string, message?: RegExp | string) =>
  expect.objectContaining({
    name: code,
    ...(message === undefined ? {} : { message: typeof message === "string" ? message : expect.stringMatching(message) }),
  });

describe("VPCs and subnets", () => {
  test("the default VPC and its subnets are as on AWS", async () => {
    const { Vpcs = [] } = await client.send(new ec2.DescribeVpcsCommand({ Filters: [{ Name: "isDefault", Values: ["true"] }] }));
    expect(Vpcs).toMatchObject([
      { CidrBlock: "172.31.0.0/16", IsDefault: true, State: "available", OwnerId: SCOPE.account, InstanceTenancy: "default" },
    ]);
    const { Subnets = [] } = await client.send(
      new ec2.DescribeSubnetsCommand({
        Filters: [
          { Name: "vpc-id", Values: [Vpcs[0]?.VpcId ?? ""] },
          { Name: "default-for-az", Values: ["true"] },
        ],
      }),
    );
    expect(Subnets.map((subnet) => [subnet.AvailabilityZone, subnet.AvailableIpAddressCount, subnet.MapPublicIpOnLaunch].join(" ")).sort()).toEqual([
      "eu-west-1a 4091 true",
      "eu-west-1b 4091 true",
      "eu-west-1c 4091 true",
    ]);
    const { RouteTables = [] } = await client.send(new ec2.DescribeRouteTablesCommand({ Filters: [{ Name: "association.main", Values: ["true"] }] }));
    expect(RouteTables[0]?.Routes?.map((route) => [route.DestinationCidrBlock, route.GatewayId?.slice(0, 4)])).toEqual([
      ["172.31.0.0/16", "loca"],
      ["0.0.0.0/0", "igw-"],
    ]);
    const { InternetGateways } = await client.send(new ec2.DescribeInternetGatewaysCommand({}));
    expect(InternetGateways).toMatchObject([{ Attachments: [{ State: "available", VpcId: Vpcs[0]?.VpcId }] }]);
    const { AccountAttributes } = await client.send(new ec2.DescribeAccountAttributesCommand({ AttributeNames: ["default-vpc"] }));
    expect(AccountAttributes?.[0]?.AttributeValues?.[0]?.AttributeValue).toBe(Vpcs[0]?.VpcId);
    const { EnableDnsHostnames } = await client.send(new ec2.DescribeVpcAttributeCommand({ VpcId: Vpcs[0]?.VpcId, Attribute: "enableDnsHostnames" }));
    expect(EnableDnsHostnames?.Value).toBe(true);
  });

  test("another region has its own, with a block of its own", async () => {
    const other = clientOf(codec, "us-east-1");
    const { Vpcs = [] } = await other.send(new ec2.DescribeVpcsCommand({}));
    expect(Vpcs).toMatchObject([{ CidrBlock: "172.30.0.0/16", IsDefault: true }]);
    const { AvailabilityZones = [] } = await other.send(new ec2.DescribeAvailabilityZonesCommand({}));
    expect(AvailabilityZones.map((zone) => [zone.ZoneName, zone.ZoneId, zone.State])).toEqual([
      ["us-east-1a", "use1-az1", "available"],
      ["us-east-1b", "use1-az2", "available"],
      ["us-east-1c", "use1-az3", "available"],
    ]);
    const { Regions = [] } = await other.send(new ec2.DescribeRegionsCommand({ RegionNames: ["us-east-1"] }));
    expect(Regions).toEqual([{ RegionName: "us-east-1", Endpoint: "ec2.us-east-1.amazonaws.com", OptInStatus: "opt-in-not-required" }]);
  });

  test("each VPC has a default network ACL over its subnets that lets all through", async () => {
    const { Vpcs = [] } = await client.send(new ec2.DescribeVpcsCommand({}));
    const Filters = [
      { Name: "vpc-id", Values: [Vpcs[0]?.VpcId ?? ""] },
      { Name: "default", Values: ["true"] },
    ];
    const { NetworkAcls = [] } = await client.send(new ec2.DescribeNetworkAclsCommand({ Filters }));
    expect(NetworkAcls).toMatchObject([
      { NetworkAclId: expect.stringMatching(/^acl-[0-9a-f]{17}$/) as unknown, IsDefault: true, OwnerId: SCOPE.account },
    ]);
    expect(NetworkAcls[0]?.Associations).toHaveLength(3);
    expect(NetworkAcls[0]?.Entries?.map((entry) => [entry.RuleNumber, entry.RuleAction, entry.Egress, entry.CidrBlock].join(" "))).toEqual([
      "100 allow true 0.0.0.0/0",
      "32767 deny true 0.0.0.0/0",
      "100 allow false 0.0.0.0/0",
      "32767 deny false 0.0.0.0/0",
    ]);
    await expect(client.send(new ec2.DescribeNetworkAclsCommand({ NetworkAclIds: ["acl-0abc"] }))).rejects.toEqual(
      failure("InvalidNetworkAclID.NotFound", "The networkAcl ID 'acl-0abc' does not exist"),
    );
  });

  test("a VPC of one's own, with a subnet, made and deleted in order", async () => {
    const tags = (type: "vpc" | "subnet") => [{ ResourceType: type, Tags: [{ Key: "Name", Value: "mine" }] }];
    const { Vpc } = await client.send(new ec2.CreateVpcCommand({ CidrBlock: "10.7.3.9/16", TagSpecifications: tags("vpc") }));
    expect(Vpc).toMatchObject({ CidrBlock: "10.7.0.0/16", IsDefault: false, Tags: [{ Key: "Name", Value: "mine" }] });
    const VpcId = Vpc?.VpcId ?? "";
    const { Subnet } = await client.send(
      new ec2.CreateSubnetCommand({ VpcId, CidrBlock: "10.7.1.0/24", AvailabilityZone: "eu-west-1b", TagSpecifications: tags("subnet") }),
    );
    expect(Subnet).toMatchObject({ AvailableIpAddressCount: 251, AvailabilityZoneId: "euw1-az2", MapPublicIpOnLaunch: false });
    await expect(client.send(new ec2.CreateSubnetCommand({ VpcId, CidrBlock: "10.7.1.128/25" }))).rejects.toEqual(
      failure("InvalidSubnet.Conflict", "The CIDR '10.7.1.128/25' conflicts with another subnet"),
    );
    await expect(client.send(new ec2.CreateSubnetCommand({ VpcId, CidrBlock: "10.8.1.0/24" }))).rejects.toEqual(failure("InvalidSubnet.Range"));
    await expect(client.send(new ec2.CreateVpcCommand({ CidrBlock: "10.7.0.0/20" }))).rejects.toEqual(
      failure("InvalidVpc.Conflict", /overlaps 10\.7\.0\.0\/16/),
    );
    await expect(client.send(new ec2.CreateVpcCommand({ CidrBlock: "10.0.0.0/8" }))).rejects.toEqual(failure("InvalidVpc.Range"));
    await expect(client.send(new ec2.DeleteVpcCommand({ VpcId }))).rejects.toEqual(
      failure("DependencyViolation", `The vpc '${VpcId}' has dependencies and cannot be deleted.`),
    );
    const request = {
      ...SCOPE,
      attachmentId: "a",
      owner: "t",
      subnetId: Subnet?.SubnetId ?? "",
      securityGroupIds: [],
      assignPublicIp: false,
      description: "",
    };
    await network.allocate(request);
    await expect(client.send(new ec2.DeleteSubnetCommand({ SubnetId: Subnet?.SubnetId }))).rejects.toEqual(failure("DependencyViolation"));
    await network.detach("a");
    await client.send(new ec2.DeleteSubnetCommand({ SubnetId: Subnet?.SubnetId }));
    await client.send(new ec2.DeleteVpcCommand({ VpcId }));
    await expect(client.send(new ec2.DescribeVpcsCommand({ VpcIds: [VpcId] }))).rejects.toEqual(
      failure("InvalidVpcID.NotFound", `The vpc ID '${VpcId}' does not exist`),
    );
  });

  test("ids that are not there, or are none", async () => {
    await expect(client.send(new ec2.DescribeSubnetsCommand({ SubnetIds: ["subnet-0123456789abcdef0"] }))).rejects.toEqual(
      failure("InvalidSubnetID.NotFound", "The subnet ID 'subnet-0123456789abcdef0' does not exist"),
    );
    await expect(client.send(new ec2.DescribeSecurityGroupsCommand({ GroupIds: ["web"] }))).rejects.toEqual(
      failure("InvalidGroupId.Malformed", 'Invalid id: "web" (expecting "sg-...")'),
    );
    await expect(client.send(new ec2.DescribeSecurityGroupsCommand({ GroupNames: ["nobody"] }))).rejects.toEqual(
      failure("InvalidGroup.NotFound", "The security group 'nobody' does not exist"),
    );
  });

  test("an operation that is not built is refused by name", async () => {
    await expect(client.send(new ec2.CreateNatGatewayCommand({ SubnetId: "subnet-1" }))).rejects.toMatchObject({
      message: expect.stringContaining("CreateNatGateway"),
    });
    await expect(client.send(new ec2.CreateVpcCommand({ CidrBlock: "10.9.0.0/16", AmazonProvidedIpv6CidrBlock: true }))).rejects.toMatchObject({
      message: expect.stringMatching(/AmazonProvidedIpv6CidrBlock/i),
    });
  });
});

describe("filters and pages", () => {
  test("values are alternatives, filters add up, * and ? are wild and may be escaped", async () => {
    for (const name of ["web-1", "web-2", "web*", "api-1"]) await newGroup(name);
    const names = async (...filters: { Name: string; Values: string[] }[]) =>
      ((await client.send(new ec2.DescribeSecurityGroupsCommand({ Filters: filters }))).SecurityGroups ?? [])
        .map((group) => group.GroupName ?? "")
        .sort();
    expect(await names({ Name: "group-name", Values: ["web-?", "api-1"] })).toEqual(["api-1", "web-1", "web-2"]);
    expect(await names({ Name: "group-name", Values: ["web*"] })).toEqual(["web*", "web-1", "web-2"]);
    expect(await names({ Name: "group-name", Values: ["web\\*"] })).toEqual(["web*"]);
    expect(await names({ Name: "group-name", Values: ["web*"] }, { Name: "description", Values: ["nothing"] })).toEqual([]);
    expect(await names({ Name: "group-name", Values: ["WEB-1"] })).toEqual([]);
    await expect(names({ Name: "colour", Values: ["red"] })).rejects.toEqual(failure("InvalidParameterValue", "The filter 'colour' is invalid"));
    await expect(names({ Name: "constructor", Values: ["x"] })).rejects.toEqual(failure("InvalidParameterValue"));
  });

  test("pages of five hold each group once", async () => {
    for (let index = 0; index < 11; index++) await newGroup(`g-${index}`);
    const seen: (string | undefined)[] = [];
    for await (const page of ec2.paginateDescribeSecurityGroups({ client, pageSize: 5 }, {}))
      seen.push(...(page.SecurityGroups ?? []).map((group) => group.GroupId));
    expect(seen).toHaveLength(12);
    expect(new Set(seen).size).toBe(12);
    await expect(client.send(new ec2.DescribeSecurityGroupsCommand({ NextToken: "nonsense" }))).rejects.toEqual(failure("InvalidNextToken"));
  });
});

describe("security groups", () => {
  test("a new one lets everything out and nothing in; its name is its VPC's alone", async () => {
    const GroupId = await newGroup("web");
    const { SecurityGroups } = await client.send(new ec2.DescribeSecurityGroupsCommand({ GroupIds: [GroupId] }));
    expect(SecurityGroups).toMatchObject([
      { GroupName: "web", Description: "d", IpPermissions: [], IpPermissionsEgress: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }] },
    ]);
    await expect(newGroup("web")).rejects.toEqual(
      failure("InvalidGroup.Duplicate", /^The security group 'web' already exists for VPC 'vpc-[0-9a-f]{17}'$/),
    );
    await expect(newGroup("sg-web")).rejects.toEqual(failure("InvalidParameterValue"));
    await expect(newGroup("default")).rejects.toEqual(failure("InvalidParameterValue", "Cannot use reserved security group name: default"));
  });

  test("rules come, are shown, and go again", async () => {
    const GroupId = await newGroup("web");
    const other = await newGroup("other");
    const { SecurityGroupRules = [] } = await client.send(
      new ec2.AuthorizeSecurityGroupIngressCommand({
        GroupId,
        IpPermissions: [
          { ...http80("10.1.2.3/8"), Ipv6Ranges: [{ CidrIpv6: "2001:DB8:0::/32" }] },
          { IpProtocol: "17", FromPort: 53, ToPort: 53, UserIdGroupPairs: [{ GroupId: other, Description: "dns" }] },
          { IpProtocol: "icmp", FromPort: 8, ToPort: -1, IpRanges: [{ CidrIp: "0.0.0.0/0" }] },
        ],
        TagSpecifications: [{ ResourceType: "security-group-rule", Tags: [{ Key: "k", Value: "v" }] }],
      }),
    );
    expect(
      SecurityGroupRules.map((rule) => [
        rule.IpProtocol,
        rule.FromPort,
        rule.ToPort,
        rule.CidrIpv4 ?? rule.CidrIpv6 ?? rule.ReferencedGroupInfo?.GroupId,
      ]),
    ).toEqual([
      ["tcp", 80, 80, "10.0.0.0/8"],
      ["tcp", 80, 80, "2001:db8::/32"],
      ["udp", 53, 53, other],
      ["icmp", 8, -1, "0.0.0.0/0"],
    ]);
    const { SecurityGroups = [] } = await client.send(
      new ec2.DescribeSecurityGroupsCommand({ Filters: [{ Name: "ip-permission.group-id", Values: [other] }] }),
    );
    expect(SecurityGroups[0]?.IpPermissions).toMatchObject([
      { IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "10.0.0.0/8" }], Ipv6Ranges: [{ CidrIpv6: "2001:db8::/32" }] },
      { IpProtocol: "udp", UserIdGroupPairs: [{ GroupId: other, UserId: SCOPE.account, Description: "dns" }] },
      { IpProtocol: "icmp", FromPort: 8, ToPort: -1 },
    ]);
    await expect(client.send(new ec2.DeleteSecurityGroupCommand({ GroupId: other }))).rejects.toEqual(
      failure("DependencyViolation", `resource ${other} has a dependent object`),
    );
    const { RevokedSecurityGroupRules } = await client.send(
      new ec2.RevokeSecurityGroupIngressCommand({
        GroupId,
        IpPermissions: [{ IpProtocol: "udp", FromPort: 53, ToPort: 53, UserIdGroupPairs: [{ GroupId: other }] }],
      }),
    );
    expect(RevokedSecurityGroupRules).toMatchObject([{ ReferencedGroupId: other }]);
    await client.send(new ec2.DeleteSecurityGroupCommand({ GroupId: other }));
    await client.send(
      new ec2.RevokeSecurityGroupIngressCommand({
        GroupId,
        SecurityGroupRuleIds: SecurityGroupRules.filter((rule) => rule.IpProtocol === "tcp").map((rule) => rule.SecurityGroupRuleId ?? ""),
      }),
    );
    const left = await client.send(new ec2.DescribeSecurityGroupRulesCommand({ Filters: [{ Name: "group-id", Values: [GroupId] }] }));
    expect(left.SecurityGroupRules?.map((rule) => [rule.IsEgress, rule.IpProtocol]).sort()).toEqual([
      [false, "icmp"],
      [true, "-1"],
    ]);
    await client.send(
      new ec2.RevokeSecurityGroupEgressCommand({ GroupId, IpPermissions: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }] }),
    );
    await client.send(new ec2.AuthorizeSecurityGroupEgressCommand({ GroupId, IpPermissions: [http80("10.0.0.0/8")] }));
    const { SecurityGroups: after = [] } = await client.send(new ec2.DescribeSecurityGroupsCommand({ GroupIds: [GroupId] }));
    expect(after[0]?.IpPermissionsEgress).toMatchObject([{ IpProtocol: "tcp", FromPort: 80, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }]);
  });

  test("a rule that is there already, or is not there, is said in AWS's words; nothing of the request is done", async () => {
    const GroupId = await newGroup("web");
    await client.send(new ec2.AuthorizeSecurityGroupIngressCommand({ GroupId, IpProtocol: "tcp", FromPort: 22, ToPort: 22, CidrIp: "0.0.0.0/0" }));
    const again = {
      GroupId,
      IpPermissions: [http80("0.0.0.0/0"), { IpProtocol: "6", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    };
    await expect(client.send(new ec2.AuthorizeSecurityGroupIngressCommand(again))).rejects.toEqual(
      failure("InvalidPermission.Duplicate", 'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists'),
    );
    const rules = await client.send(new ec2.DescribeSecurityGroupRulesCommand({ Filters: [{ Name: "group-id", Values: [GroupId] }] }));
    expect(rules.SecurityGroupRules).toHaveLength(2);
    const unknown = await client.send(new ec2.RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [http80("10.0.0.0/8")] }));
    expect(unknown.UnknownIpPermissions).toMatchObject([{ FromPort: 80, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }]);
    const { Vpc } = await client.send(new ec2.CreateVpcCommand({ CidrBlock: "10.7.0.0/16" }));
    const custom = await client.send(new ec2.CreateSecurityGroupCommand({ GroupName: "web", Description: "d", VpcId: Vpc?.VpcId }));
    await expect(
      client.send(new ec2.RevokeSecurityGroupIngressCommand({ GroupId: custom.GroupId, IpPermissions: [http80("10.0.0.0/8")] })),
    ).rejects.toEqual(failure("InvalidPermission.NotFound", "The specified rule does not exist in this security group."));
    await expect(
      client.send(
        new ec2.AuthorizeSecurityGroupIngressCommand({
          GroupId: custom.GroupId,
          IpPermissions: [{ IpProtocol: "-1", UserIdGroupPairs: [{ GroupId }] }],
        }),
      ),
    ).rejects.toEqual(failure("InvalidGroup.NotFound"));
  });

  test.each<[string, ec2.IpPermission]>([
    ["no ports", { IpProtocol: "tcp", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    ["ports the wrong way round", { ...http80("0.0.0.0/0"), ToPort: 70 }],
    ["a port that is none", { ...http80("0.0.0.0/0"), ToPort: 70_000 }],
    ["a block that is none", http80("10.0.0.0/33")],
    ["a protocol that is none", { ...http80("10.0.0.0/8"), IpProtocol: "quic" }],
    ["no source", { IpProtocol: "-1" }],
  ])("a rule with %s is refused", async (_what, permission) => {
    const GroupId = await newGroup("web");
    await expect(client.send(new ec2.AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [permission] }))).rejects.toEqual(
      failure("InvalidParameterValue"),
    );
  });

  test("authorizing many rules at the same time loses none", async () => {
    const GroupId = await newGroup("web");
    await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        client.send(new ec2.AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [http80(`10.${index}.0.0/16`)] })),
      ),
    );
    const { SecurityGroups = [] } = await client.send(new ec2.DescribeSecurityGroupsCommand({ GroupIds: [GroupId] }));
    expect(SecurityGroups[0]?.IpPermissions?.[0]?.IpRanges).toHaveLength(30);
    const more = Array.from({ length: 31 }, (_, index) => http80(`10.${100 + index}.0.0/16`));
    await expect(client.send(new ec2.AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: more }))).rejects.toEqual(
      failure("RulesPerSecurityGroupLimitExceeded"),
    );
  });

  test("a rule is modified under its id", async () => {
    const GroupId = await newGroup("web");
    const { SecurityGroupRules = [] } = await client.send(
      new ec2.AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [http80("10.0.0.0/8")] }),
    );
    const SecurityGroupRuleId = SecurityGroupRules[0]?.SecurityGroupRuleId ?? "";
    await client.send(
      new ec2.ModifySecurityGroupRulesCommand({
        GroupId,
        SecurityGroupRules: [{ SecurityGroupRuleId, SecurityGroupRule: { IpProtocol: "tcp", FromPort: 443, ToPort: 443, CidrIpv4: "10.0.0.0/8" } }],
      }),
    );
    const { SecurityGroupRules: after } = await client.send(
      new ec2.DescribeSecurityGroupRulesCommand({ SecurityGroupRuleIds: [SecurityGroupRuleId] }),
    );
    expect(after).toMatchObject([{ FromPort: 443, ToPort: 443, IsEgress: false }]);
  });

  test("the default group, and one that an interface is in, stay", async () => {
    const { SecurityGroups = [] } = await client.send(new ec2.DescribeSecurityGroupsCommand({ GroupNames: ["default"] }));
    await expect(client.send(new ec2.DeleteSecurityGroupCommand({ GroupId: SecurityGroups[0]?.GroupId }))).rejects.toEqual(
      failure("CannotDelete", /cannot be deleted by a user$/),
    );
    const GroupId = await newGroup("web");
    const subnetId = network.admin.subnets(SCOPE)[0]?.subnetId ?? "";
    const status = await network.allocate({
      ...SCOPE,
      attachmentId: "a",
      owner: "task",
      subnetId,
      securityGroupIds: [GroupId],
      assignPublicIp: false,
      description: "task a",
    });
    await expect(client.send(new ec2.DeleteSecurityGroupCommand({ GroupId }))).rejects.toEqual(failure("DependencyViolation"));
    const find = (Name: string, Value: string) => client.send(new ec2.DescribeNetworkInterfacesCommand({ Filters: [{ Name, Values: [Value] }] }));
    expect((await find("group-id", GroupId)).NetworkInterfaces).toMatchObject([
      {
        NetworkInterfaceId: status.eniId,
        PrivateIpAddress: status.privateIpv4,
        PrivateDnsName: status.privateDnsName,
        Status: "available",
        Groups: [{ GroupId, GroupName: "web" }],
      },
    ]);
    expect((await find("addresses.private-ip-address", status.privateIpv4)).NetworkInterfaces).toHaveLength(1);
    await network.detach("a");
    await client.send(new ec2.DeleteSecurityGroupCommand({ GroupName: "web" }));
  });
});

test("tags are added, found, and taken away", async () => {
  const GroupId = await newGroup("web");
  const { VpcId = "" } = (await client.send(new ec2.DescribeVpcsCommand({}))).Vpcs?.[0] ?? {};
  await client.send(
    new ec2.CreateTagsCommand({
      Resources: [GroupId, VpcId],
      Tags: [
        { Key: "env", Value: "prod" },
        { Key: "team", Value: "a" },
      ],
    }),
  );
  expect((await client.send(new ec2.DescribeVpcsCommand({ Filters: [{ Name: "tag:env", Values: ["pr*"] }] }))).Vpcs).toHaveLength(1);
  expect(
    (await client.send(new ec2.DescribeSecurityGroupsCommand({ Filters: [{ Name: "tag-key", Values: ["team"] }] }))).SecurityGroups,
  ).toHaveLength(1);
  const { Tags } = await client.send(new ec2.DescribeTagsCommand({ Filters: [{ Name: "resource-id", Values: [GroupId] }] }));
  expect(Tags).toEqual([
    { Key: "env", Value: "prod", ResourceId: GroupId, ResourceType: "security-group" },
    { Key: "team", Value: "a", ResourceId: GroupId, ResourceType: "security-group" },
  ]);
  await client.send(new ec2.DeleteTagsCommand({ Resources: [GroupId], Tags: [{ Key: "env", Value: "other" }, { Key: "team" }] }));
  expect((await client.send(new ec2.DescribeTagsCommand({ Filters: [{ Name: "resource-id", Values: [GroupId] }] }))).Tags).toMatchObject([
    { Key: "env" },
  ]);
  await expect(client.send(new ec2.CreateTagsCommand({ Resources: ["vpc-0"], Tags: [{ Key: "a", Value: "" }] }))).rejects.toEqual(
    failure("InvalidID"),
  );
  await expect(client.send(new ec2.CreateTagsCommand({ Resources: [VpcId], Tags: [{ Key: "aws:x", Value: "" }] }))).rejects.toEqual(
    failure("InvalidParameterValue"),
  );
});

test("a dry run does nothing and says that it would have", async () => {
  await expect(client.send(new ec2.CreateSecurityGroupCommand({ GroupName: "dry", Description: "d", DryRun: true }))).rejects.toMatchObject({
    name: "DryRunOperation",
    $metadata: { httpStatusCode: 412 },
  });
  expect((await client.send(new ec2.DescribeSecurityGroupsCommand({}))).SecurityGroups).toHaveLength(1);
});
