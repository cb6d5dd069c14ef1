import { createHash, createHmac } from "node:crypto";
import {
  AssociateAccessPolicyCommand,
  AssociateEncryptionConfigCommand,
  AssociateIdentityProviderConfigCommand,
  type AssociateIdentityProviderConfigCommandOutput,
  CreateAccessEntryCommand,
  CreateClusterCommand,
  CreatePodIdentityAssociationCommand,
  type CreateClusterCommandInput,
  DeleteAccessEntryCommand,
  DeleteClusterCommand,
  DeletePodIdentityAssociationCommand,
  DescribeAccessEntryCommand,
  DescribeClusterCommand,
  DescribeClusterVersionsCommand,
  DescribeIdentityProviderConfigCommand,
  DescribePodIdentityAssociationCommand,
  DescribeUpdateCommand,
  DisassociateAccessPolicyCommand,
  DisassociateIdentityProviderConfigCommand,
  EKSClient,
  ListAccessEntriesCommand,
  ListAccessPoliciesCommand,
  ListAssociatedAccessPoliciesCommand,
  ListCapabilitiesCommand,
  ListClustersCommand,
  ListEksAnywhereSubscriptionsCommand,
  ListIdentityProviderConfigsCommand,
  ListInsightsCommand,
  ListNodegroupsCommand,
  ListPodIdentityAssociationsCommand,
  ListTagsForResourceCommand,
  ListUpdatesCommand,
  RegisterClusterCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAccessEntryCommand,
  UpdateClusterConfigCommand,
  UpdatePodIdentityAssociationCommand,
  type UpdateClusterConfigCommandOutput,
  UpdateClusterVersionCommand,
} from "@aws-sdk/client-eks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Credential } from "../contracts/credentials.ts";
import { FakeClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { reviewToken } from "../services/eks/access/token-review.ts";
import type { EksRoom } from "../services/eks/room.ts";
import { testCluster } from "../services/eks/testing.ts";
import { callerVerifier } from "./eks-ports.ts";
import { startSimulatedServer, type SimulatedServer } from "./testing.ts";

/** EKS's API by the official SDK, over all rooms and no compute; and whom a cluster lets in, by signatures of a client's own. */

const clock = new FakeClock();
let server: SimulatedServer;
let eks: EKSClient;
let subnetIds: string[];
const roleArn = "arn:aws:iam::100000000000:role/eks";

async function post(form: Readonly<Record<string, string>>): Promise<string> {
  const answer = await fetch(server.url, { method: "POST", body: new URLSearchParams(form) });
  return answer.text();
}

beforeAll(async () => {
  server = await startSimulatedServer(clock);
  eks = new EKSClient({ endpoint: server.url, region: "us-east-1", credentials: { accessKeyId: "AKIA", secretAccessKey: "x" }, maxAttempts: 1 });
  const subnets = await post({ Action: "DescribeSubnets", Version: "2016-11-15" });
  subnetIds = [...subnets.matchAll(/<subnetId>([^<]+)/g)].map((match) => match[1] ?? "");
  const AssumeRolePolicyDocument = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: "eks.amazonaws.com" }, Action: "sts:AssumeRole" }],
  });
  await post({ Action: "CreateRole", Version: "2010-05-08", RoleName: "eks", AssumeRolePolicyDocument });
});
afterAll(() => server[Symbol.asyncDispose]());

function create(name: string, more: Partial<CreateClusterCommandInput> = {}): Promise<unknown> {
  return eks.send(new CreateClusterCommand({ name, roleArn, resourcesVpcConfig: { subnetIds }, ...more }));
}

async function statusOf(name: string): Promise<string | undefined> {
  return (await eks.send(new DescribeClusterCommand({ name }))).cluster?.status;
}

/** Simulated workloads take some of the test's seconds to start and to end; keys are made for real, which takes real ones on a busy machine. */
async function reach(name: string, status: string): Promise<void> {
  const deadlineMs = performance.now() + 40_000;
  for (let second = 0; second < 300 || performance.now() < deadlineMs; second++) {
    const found = await statusOf(name).catch((error: Error) => error.name);
    if (found === status) return;
    await clock.advance(second < 300 ? 1000 : 0);
  }
  throw new Error(`${name} did not become ${status}`);
}

describe("EKS's clusters", () => {
  it("are created, shown, tagged, listed and deleted", async () => {
    await create("life", { tags: { team: "a" }, clientRequestToken: "token-1" });
    await reach("life", "ACTIVE");
    const { cluster } = await eks.send(new DescribeClusterCommand({ name: "life" }));
    expect(cluster).toMatchObject({
      arn: "arn:aws:eks:us-east-1:100000000000:cluster/life",
      version: "1.36",
      kubernetesNetworkConfig: { serviceIpv4Cidr: "10.100.0.0/16", ipFamily: "ipv4" },
      resourcesVpcConfig: { endpointPublicAccess: true, endpointPrivateAccess: false, publicAccessCidrs: ["0.0.0.0/0"] },
      health: { issues: [] },
    });
    expect(cluster?.endpoint).toMatch(/^https:\/\/172\.31\.\d+\.\d+$/);
    expect(Buffer.from(cluster?.certificateAuthority?.data ?? "", "base64").toString()).toContain("BEGIN CERTIFICATE");
    const groups = await post({ Action: "DescribeSecurityGroups", Version: "2016-11-15" });
    expect(groups).toMatch(/<groupName>eks-cluster-sg-life-\d{10}</);

    const resourceArn = cluster?.arn;
    await eks.send(new TagResourceCommand({ resourceArn, tags: { stage: "test" } }));
    await eks.send(new UntagResourceCommand({ resourceArn, tagKeys: ["team"] }));
    expect((await eks.send(new ListTagsForResourceCommand({ resourceArn }))).tags).toEqual({ stage: "test" });

    await expect(create("life", { tags: { team: "a" }, clientRequestToken: "token-1" })).resolves.toMatchObject({ cluster: { status: "ACTIVE" } });
    await expect(create("life", { clientRequestToken: "token-1" })).rejects.toMatchObject({ name: "InvalidParameterException" });
    await expect(create("life")).rejects.toMatchObject({ name: "ResourceInUseException", message: "Cluster already exists with name: life" });

    await eks.send(new DeleteClusterCommand({ name: "life" }));
    expect(["DELETING", "ResourceNotFoundException"]).toContain(await statusOf("life").catch((error: Error) => error.name));
    await reach("life", "ResourceNotFoundException");
    expect(await post({ Action: "DescribeSecurityGroups", Version: "2016-11-15" })).not.toContain("eks-");
    expect(await post({ Action: "DescribeNetworkInterfaces", Version: "2016-11-15" })).not.toContain("eni-");
  });

  it("are listed by pages, and kept under deletion protection", async () => {
    for (const name of ["a", "b", "c"]) await create(name, name === "a" ? { deletionProtection: true } : {});
    const first = await eks.send(new ListClustersCommand({ maxResults: 2 }));
    expect(first.clusters).toEqual(["a", "b"]);
    const rest = await eks.send(new ListClustersCommand({ nextToken: first.nextToken }));
    expect(rest.clusters).toEqual(["c"]);
    expect(rest.nextToken).toBeUndefined();
    await expect(eks.send(new DeleteClusterCommand({ name: "a" }))).rejects.toMatchObject({ name: "InvalidRequestException" });
    await expect(eks.send(new DescribeClusterCommand({ name: "nobody" }))).rejects.toMatchObject({
      name: "ResourceNotFoundException",
      message: "No cluster found for name: nobody.",
    });
    const { clusterVersions } = await eks.send(new DescribeClusterVersionsCommand({ versionStatus: "STANDARD_SUPPORT" }));
    expect(clusterVersions?.map(({ clusterVersion }) => clusterVersion)).toEqual(["1.36"]);
  });

  it.each<readonly [string, Partial<CreateClusterCommandInput>, string]>([
    ["an old version", { version: "1.30" }, "unsupported Kubernetes version [1.30]"],
    ["one subnet", { resourcesVpcConfig: { subnetIds: ["first"] } }, "Subnets specified must be in at least two different AZs"],
    ["a subnet that is not there", { resourcesVpcConfig: { subnetIds: ["subnet-0"] } }, "The subnet ID 'subnet-0' does not exist"],
    ["no way in", { resourcesVpcConfig: { endpointPublicAccess: false } }, "Private and public endpoint access cannot be false"],
    ["public services", { kubernetesNetworkConfig: { serviceIpv4Cidr: "8.8.0.0/16" } }, "must be within RFC1918 range"],
    ["too few services", { kubernetesNetworkConfig: { serviceIpv4Cidr: "10.1.0.0/28" } }, "must have netmask size between /12 and /24 inclusive"],
    ["services in the VPC", { kubernetesNetworkConfig: { serviceIpv4Cidr: "172.31.0.0/16" } }, "must not overlap"],
    ["another account's role", { roleArn: "arn:aws:iam::999999999999:role/eks" }, "Cross-account pass role is not allowed."],
    ["a role that is not there", { roleArn: "arn:aws:iam::100000000000:role/none" }, "could not be assumed"],
    ["IPv6", { kubernetesNetworkConfig: { ipFamily: "ipv6" } }, "kubernetesNetworkConfig.ipFamily"],
    ["Auto Mode", { computeConfig: { enabled: true } }, "computeConfig.enabled"],
    ["KMS", { encryptionConfig: [{ resources: ["secrets"], provider: { keyArn: "k" } }] }, "encryptionConfig"],
  ])("are refused with %s", async (_what, { resourcesVpcConfig, ...more }, words) => {
    const asked = resourcesVpcConfig?.subnetIds?.map((id) => (id === "first" ? (subnetIds[0] ?? "") : id)) ?? subnetIds;
    await expect(create("refused", { ...more, resourcesVpcConfig: { ...resourcesVpcConfig, subnetIds: asked } })).rejects.toThrow(words);
  });

  it("let people in by access entries, where they go by them", async () => {
    const clusterName = "entries";
    await create(clusterName, { accessConfig: { authenticationMode: "API" } });
    const listed = async (more = {}): Promise<unknown> => (await eks.send(new ListAccessEntriesCommand({ clusterName, ...more }))).accessEntries;
    const creator = "arn:aws:iam::100000000000:root";
    const administrator = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
    expect(await listed({ associatedPolicyArn: administrator })).toEqual([creator]);

    const entry = { clusterName, principalArn: roleArn };
    const { accessEntry } = await eks.send(new CreateAccessEntryCommand({ ...entry, kubernetesGroups: ["devs"] }));
    expect(accessEntry).toMatchObject({
      type: "STANDARD",
      username: "arn:aws:sts::100000000000:assumed-role/eks/{{SessionName}}",
      kubernetesGroups: ["devs"],
      accessEntryArn: expect.stringMatching(/^arn:aws:eks:us-east-1:100000000000:access-entry\/entries\/role\/100000000000\/eks\/[0-9a-f-]{36}$/),
    });
    await expect(eks.send(new CreateAccessEntryCommand(entry))).rejects.toMatchObject({ name: "ResourceInUseException" });
    await eks.send(new UpdateAccessEntryCommand({ ...entry, username: "team:{{SessionName}}" }));
    expect((await eks.send(new DescribeAccessEntryCommand(entry))).accessEntry).toMatchObject({
      username: "team:{{SessionName}}",
      kubernetesGroups: ["devs"],
    });

    const policyArn = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
    const scope = { type: "namespace", namespaces: ["dev-*"] } as const;
    await eks.send(new AssociateAccessPolicyCommand({ ...entry, policyArn, accessScope: { type: "cluster" } }));
    await eks.send(new AssociateAccessPolicyCommand({ ...entry, policyArn, accessScope: { ...scope, namespaces: [...scope.namespaces] } }));
    const policies = await eks.send(new ListAssociatedAccessPoliciesCommand(entry));
    expect(policies.associatedAccessPolicies).toEqual([expect.objectContaining({ policyArn, accessScope: scope })]);
    const unknown = { ...entry, policyArn: `${policyArn}s`, accessScope: { type: "cluster" as const } };
    await expect(eks.send(new AssociateAccessPolicyCommand(unknown))).rejects.toThrow("The specified policyArn could not be found.");
    await eks.send(new DisassociateAccessPolicyCommand({ ...entry, policyArn }));
    await eks.send(new DeleteAccessEntryCommand(entry));
    expect(await listed()).toEqual([creator]);
    await expect(eks.send(new DescribeAccessEntryCommand(entry))).rejects.toThrow("The specified principalArn could not be found.");
    await expect(eks.send(new CreateAccessEntryCommand({ ...entry, type: "EC2_LINUX" }))).rejects.toThrow("does not support type");
    await expect(eks.send(new ListAccessEntriesCommand({ clusterName: "a" }))).rejects.toThrow("authentication mode must be set to one of");
    expect((await eks.send(new ListAccessPoliciesCommand({}))).accessPolicies).toHaveLength(5);
  });

  it("have associations of service accounts with roles", async () => {
    const clusterName = "associations";
    await create(clusterName);
    const whose = { clusterName, namespace: "shop", serviceAccount: "api" };
    const made = await eks.send(new CreatePodIdentityAssociationCommand({ ...whose, roleArn, tags: { team: "a" }, clientRequestToken: "one" }));
    const { associationId } = made.association ?? {};
    expect(made.association).toMatchObject({
      ...whose,
      roleArn,
      tags: { team: "a" },
      disableSessionTags: false,
      associationId: expect.stringMatching(/^a-[a-z0-9]{17}$/),
      associationArn: `arn:aws:eks:us-east-1:100000000000:podidentityassociation/associations/${associationId}`,
    });
    const again = await eks.send(new CreatePodIdentityAssociationCommand({ ...whose, roleArn, clientRequestToken: "one" }));
    expect(again.association).toEqual(made.association);
    await expect(eks.send(new CreatePodIdentityAssociationCommand({ ...whose, roleArn }))).rejects.toMatchObject({ name: "ResourceInUseException" });
    const missing = new CreatePodIdentityAssociationCommand({ ...whose, serviceAccount: "web", roleArn: "arn:aws:iam::100000000000:role/none" });
    await expect(eks.send(missing)).rejects.toThrow("Role provided in the request does not exist");
    const updated = await eks.send(
      new UpdatePodIdentityAssociationCommand({ clusterName, associationId, targetRoleArn: roleArn, disableSessionTags: true }),
    );
    expect(updated.association).toMatchObject({
      targetRoleArn: roleArn,
      disableSessionTags: true,
      externalId: "us-east-1/100000000000/associations/shop/api",
    });
    const shown = await eks.send(new DescribePodIdentityAssociationCommand({ clusterName, associationId }));
    expect(shown.association).toEqual(updated.association);
    const listed = async (more = {}): Promise<unknown> =>
      (await eks.send(new ListPodIdentityAssociationsCommand({ clusterName, ...more }))).associations?.map((each) => each.associationId);
    expect(await listed({ namespace: "shop" })).toEqual([associationId]);
    expect(await listed({ serviceAccount: "web" })).toEqual([]);
    await eks.send(new DeletePodIdentityAssociationCommand({ clusterName, associationId }));
    expect(await listed()).toEqual([]);
    await expect(eks.send(new DescribePodIdentityAssociationCommand({ clusterName, associationId }))).rejects.toThrow("No association found");
  });

  it("are updated one way at a time, and go from their creator alone to access entries, never back", async () => {
    const name = "updated";
    await create(name, { deletionProtection: true });
    const update = (more: object): Promise<UpdateClusterConfigCommandOutput> => eks.send(new UpdateClusterConfigCommand({ name, ...more }));
    await reach(name, "ACTIVE");
    await expect(update({})).rejects.toThrow("No changes needed");
    await expect(update({ deletionProtection: true })).rejects.toThrow("already at the desired");
    await expect(update({ deletionProtection: false, upgradePolicy: { supportType: "STANDARD" } })).rejects.toThrow("Only one type of update");
    await expect(update({ resourcesVpcConfig: { subnetIds } })).rejects.toThrow("resourcesVpcConfig");

    const { update: made } = await update({ accessConfig: { authenticationMode: "API" } });
    expect(made).toMatchObject({ status: "Successful", type: "AccessConfigUpdate", params: [{ type: "AuthenticationMode", value: "API" }] });
    expect((await eks.send(new DescribeUpdateCommand({ name, updateId: made?.id }))).update).toEqual(made);
    expect((await eks.send(new ListAccessEntriesCommand({ clusterName: name }))).accessEntries).toEqual(["arn:aws:iam::100000000000:root"]);
    const back = update({ accessConfig: { authenticationMode: "CONFIG_MAP" } });
    await expect(back).rejects.toThrow("Unsupported authentication mode update from API to CONFIG_MAP");
    const none = { clusterLogging: [{ types: ["audit" as const], enabled: false }] };
    await expect(update({ logging: none })).rejects.toThrow("No changes needed for the logging config provided");
    const { update: logs } = await update({ logging: { clusterLogging: [{ types: ["audit"], enabled: true }] } });
    expect(logs).toMatchObject({ status: "InProgress", type: "LoggingUpdate", params: [{ type: "ClusterLogging" }] });
    await expect(update({ deletionProtection: false })).rejects.toThrow("is not in ACTIVE status");
    await reach(name, "ACTIVE");
    expect((await eks.send(new DescribeUpdateCommand({ name, updateId: logs?.id }))).update).toMatchObject({ status: "Successful" });
    expect((await eks.send(new DescribeClusterCommand({ name }))).cluster?.logging?.clusterLogging?.[0]).toEqual({ types: ["audit"], enabled: true });
    await update({ deletionProtection: false });
    expect((await eks.send(new ListUpdatesCommand({ name }))).updateIds).toHaveLength(3);
    await eks.send(new DeleteClusterCommand({ name }));
    await reach(name, "ResourceNotFoundException");
  });

  it("let in users of one OIDC provider", async () => {
    const clusterName = "oidc";
    await create(clusterName);
    const oidc = { identityProviderConfigName: "idp", issuerUrl: "https://idp.example.com", clientId: "kubectl", groupsClaim: "groups" };
    const associate = (more: object = {}): Promise<AssociateIdentityProviderConfigCommandOutput> =>
      eks.send(new AssociateIdentityProviderConfigCommand({ clusterName, oidc: { ...oidc, ...more }, tags: { team: "a" } }));
    await expect(associate()).rejects.toThrow("is not in ACTIVE status");
    await reach(clusterName, "ACTIVE");
    await expect(associate({ issuerUrl: "http://idp.example.com" })).rejects.toThrow("IssuerURL must use https:// scheme.");
    const { update } = await associate();
    const name = clusterName;
    const params = [{ type: "IdentityProviderConfig", value: '{"type":"oidc","name":"idp"}' }];
    expect(update).toMatchObject({ status: "InProgress", type: "AssociateIdentityProviderConfig", params });
    await expect(associate()).rejects.toMatchObject({ name: "ResourceInUseException" });
    await expect(associate({ identityProviderConfigName: "other" })).rejects.toMatchObject({ name: "ResourceLimitExceededException" });

    const which = { clusterName, identityProviderConfig: { type: "oidc", name: "idp" } };
    const shown = async (): Promise<unknown> =>
      (
        await eks
          .send(new DescribeIdentityProviderConfigCommand(which))
          .catch(({ name: error }: Error) => ({ identityProviderConfig: { oidc: { status: error } } }))
      ).identityProviderConfig?.oidc;
    const status = async (wanted: string): Promise<void> => {
      for (let second = 0; second < 60; second++) {
        if (((await shown()) as { readonly status?: string }).status === wanted) return;
        await clock.advance(1000);
      }
      throw new Error(`the provider did not become ${wanted}`);
    };
    await status("ACTIVE");
    expect(await shown()).toMatchObject({
      identityProviderConfigArn: expect.stringMatching(/^arn:aws:eks:us-east-1:100000000000:identityproviderconfig\/oidc\/oidc\/idp\/[0-9a-f-]{36}$/),
      usernameClaim: "sub",
      groupsClaim: "groups",
      tags: { team: "a" },
    });
    expect((await eks.send(new DescribeUpdateCommand({ name, updateId: update?.id }))).update).toMatchObject({ status: "Successful" });
    expect((await eks.send(new ListIdentityProviderConfigsCommand({ clusterName }))).identityProviderConfigs).toEqual([
      { type: "oidc", name: "idp" },
    ]);
    const gone = await eks.send(new DisassociateIdentityProviderConfigCommand(which));
    expect(gone.update).toMatchObject({ type: "DisassociateIdentityProviderConfig" });
    await status("ResourceNotFoundException");
    expect((await eks.send(new DescribeUpdateCommand({ name, updateId: gone.update?.id }))).update).toMatchObject({ status: "Successful" });
  });

  it("are open to whom an update says, which is in progress until the rules are in force", async () => {
    const name = "open";
    await create(name);
    await reach(name, "ACTIVE");
    const update = (resourcesVpcConfig: object): Promise<UpdateClusterConfigCommandOutput> =>
      eks.send(new UpdateClusterConfigCommand({ name, resourcesVpcConfig }));
    await expect(update({ endpointPublicAccess: true })).rejects.toThrow(
      "Cluster is already at the desired configuration with endpointPrivateAccess: false , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]",
    );
    await expect(update({ endpointPublicAccess: false })).rejects.toThrow("Private and public endpoint access cannot be false");
    await expect(update({ publicAccessCidrs: ["10.0.0.1/8"] })).rejects.toThrow("invalid in publicAccessCidrs");
    const { update: made } = await update({ publicAccessCidrs: ["203.0.113.0/24"], endpointPrivateAccess: true });
    expect(made).toMatchObject({
      status: "InProgress",
      type: "EndpointAccessUpdate",
      params: expect.arrayContaining([{ type: "PublicAccessCidrs", value: '["203.0.113.0/24"]' }]),
    });
    await reach(name, "ACTIVE");
    expect((await eks.send(new DescribeUpdateCommand({ name, updateId: made?.id }))).update).toMatchObject({ status: "Successful" });
    const group = (await post({ Action: "DescribeSecurityGroups", Version: "2016-11-15" }))
      .split("<item>")
      .filter((text) => text.includes("203.0.113.0/24"));
    expect(group).toHaveLength(1);
    const { cluster } = await eks.send(new DescribeClusterCommand({ name }));
    expect(cluster?.resourcesVpcConfig).toMatchObject({ endpointPrivateAccess: true, publicAccessCidrs: ["203.0.113.0/24"] });
    await update({ endpointPublicAccess: false });
    await reach(name, "ACTIVE");
    expect(await post({ Action: "DescribeSecurityGroups", Version: "2016-11-15" })).not.toContain("203.0.113.0/24");

    await expect(eks.send(new UpdateClusterVersionCommand({ name, version: "1.37" }))).rejects.toThrow("unsupported Kubernetes version [1.37]");
    for (const version of ["1.36", "1.35", "1.38"]) {
      const words = `Unsupported Kubernetes minor version update from 1.36 to ${version}`;
      await expect(eks.send(new UpdateClusterVersionCommand({ name, version }))).rejects.toThrow(words);
    }
    const encryptionConfig = [{ resources: ["secrets"], provider: { keyArn: "k" } }];
    await expect(eks.send(new AssociateEncryptionConfigCommand({ clusterName: name, encryptionConfig }))).rejects.toThrow("There is no KMS");
  });

  it("have no nodes: what is not built says so", async () => {
    const connectorConfig = { roleArn, provider: "OTHER" as const };
    await expect(eks.send(new RegisterClusterCommand({ name: "a", connectorConfig }))).rejects.toThrow("RegisterCluster of eks is not built");
    await expect(eks.send(new ListInsightsCommand({ clusterName: "a" }))).rejects.toThrow("ListInsights of eks is not built");
    await expect(eks.send(new ListCapabilitiesCommand({ clusterName: "a" }))).rejects.toThrow("ListCapabilities of eks is not built");
    await expect(eks.send(new ListEksAnywhereSubscriptionsCommand({}))).rejects.toThrow("ListEksAnywhereSubscriptions of eks is not built");
    await expect(eks.send(new ListNodegroupsCommand({ clusterName: "a" }))).rejects.toThrow("ListNodegroups of eks is not built");
  });
});

describe("a cluster lets in", () => {
  const time = new FakeClock();
  const key: Credential = {
    accessKeyId: "ASIAEKSTEST000000001",
    secretAccessKey: "secret",
    sessionToken: "session",
    expirationMs: time.nowMs() + 3_600_000,
    account: "111122223333",
    principal: { arn: "arn:aws:sts::111122223333:assumed-role/builder/ci", userId: "AROAX:ci", accessKeyId: "ASIAEKSTEST000000001" },
  };
  const others: readonly Credential[] = [
    { ...key, accessKeyId: "ASIAEKSTEST000000002", principal: { ...key.principal, arn: "arn:aws:sts::111122223333:assumed-role/other/ci" } },
    { ...key, accessKeyId: "ASIAEKSTEST000000003", expirationMs: time.nowMs() + 1000 },
  ];
  const keys = [key, ...others];

  /** As a client makes it, by AWS's description of the signature. */
  function tokenOf(credential: Credential, { cluster = "shop", secret = credential.secretAccessKey } = {}): string {
    const stamp = new Date(time.nowMs()).toISOString().replaceAll(/[-:]|\.\d{3}/g, "");
    const scope = `${stamp.slice(0, 8)}/us-east-1/sts/aws4_request`;
    const query = Object.entries({
      Action: "GetCallerIdentity",
      Version: "2011-06-15",
      "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
      "X-Amz-Credential": `${credential.accessKeyId}/${scope}`,
      "X-Amz-Date": stamp,
      "X-Amz-Expires": "60",
      "X-Amz-Security-Token": credential.sessionToken ?? "",
      "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
    })
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join("&");
    const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
    const canonical = `GET\n/\n${query}\nhost:localhost:4566\nx-k8s-aws-id:${cluster}\n\nhost;x-k8s-aws-id\n${hash("")}`;
    let signing: Buffer = Buffer.from(`AWS4${secret}`);
    for (const part of [...scope.split("/"), `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${hash(canonical)}`]) {
      signing = createHmac("sha256", signing).update(part).digest();
    }
    return `k8s-aws-v1.${Buffer.from(`http://localhost:4566/?${query}&X-Amz-Signature=${signing.toString("hex")}`).toString("base64url")}`;
  }

  const toolbox = { clock: time, ids: seededIds("eks"), logger: silentLogger };
  const callers = callerVerifier({ find: async (id) => keys.find(({ accessKeyId }) => accessKeyId === id) }, toolbox);
  const store = createMemoryStore();
  const room = { ...toolbox, store, ports: { callers }, ownHosts: ["localhost:4566"] } as unknown as EksRoom;
  const review = (token: string, more = {}): Promise<object> => reviewToken(room, testCluster(more), token);

  it("its creator, whatever the session, as administrator", async () => {
    expect(await review(tokenOf(key))).toMatchObject({
      user: {
        username: "kubernetes-admin",
        groups: ["system:masters"],
        uid: "aws-iam-authenticator:111122223333:AROAX",
        extra: { sessionName: ["ci"] },
      },
    });
  });

  it("nobody else, nor a token of another cluster, of a wrong key, or changed on its way", async () => {
    const token = tokenOf(key);
    const url = Buffer.from(token.slice(11), "base64url").toString();
    const changed = `k8s-aws-v1.${Buffer.from(url.replace("X-Amz-Expires=60", "X-Amz-Expires=900")).toString("base64url")}`;
    for (const bad of [changed, tokenOf(key, { cluster: "other" }), tokenOf(key, { secret: "guess" })]) {
      expect(await review(bad)).toEqual({ fault: expect.stringContaining("the signature does not hold") });
    }
    expect(await review(tokenOf(others[0]!))).toEqual({ fault: expect.stringContaining("is not mapped") });
    expect(await review(token, { creatorIsAdmin: false })).toEqual({ fault: expect.stringContaining("is not mapped") });
    expect(await review(token, { authenticationMode: "API" })).toEqual({ fault: expect.stringContaining("is not mapped") });
  });

  it("no session that has ended, and no token for longer than a quarter of an hour", async () => {
    const ending = tokenOf(others[1]!);
    expect(await review(ending)).toHaveProperty("user");
    const token = tokenOf(key);
    await time.advance(2000);
    expect(await review(ending)).toHaveProperty("fault");
    await time.advance(10 * 60_000);
    expect(await review(token)).toHaveProperty("user");
    await time.advance(6 * 60_000);
    expect(await review(token)).toEqual({ fault: expect.stringContaining("token is expired") });
  });
});
