import {
  CreateClusterCommand,
  CreateFargateProfileCommand,
  DeleteClusterCommand,
  DeleteFargateProfileCommand,
  DescribeClusterCommand,
  DescribeFargateProfileCommand,
  EKSClient,
  ListFargateProfilesCommand,
  type CreateFargateProfileCommandInput,
} from "@aws-sdk/client-eks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { startSimulatedServer, type SimulatedServer } from "./testing.ts";

/** Fargate profiles by the official SDK, over all rooms and no compute. */

const clock = new FakeClock();
const podExecutionRoleArn = "arn:aws:iam::100000000000:role/pods";
let server: SimulatedServer;
let eks: EKSClient;
let subnetIds: string[];

async function post(form: Readonly<Record<string, string>>): Promise<string> {
  return (await fetch(server.url, { method: "POST", body: new URLSearchParams(form) })).text();
}

/** What the controllers do takes turns of the event loop, and some of the test's seconds; keys are made by real threads. */
async function reach(condition: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (await condition()) return;
    await clock.advance(100);
  }
  throw new Error("never reached");
}

const create = (more: Partial<CreateFargateProfileCommandInput> = {}) =>
  eks.send(
    new CreateFargateProfileCommand({
      clusterName: "shop",
      fargateProfileName: "web",
      podExecutionRoleArn,
      selectors: [{ namespace: "web-*", labels: { tier: "front" } }],
      clientRequestToken: "token",
      ...more,
    }),
  );
const names = async () => (await eks.send(new ListFargateProfilesCommand({ clusterName: "shop" }))).fargateProfileNames;

beforeAll(async () => {
  server = await startSimulatedServer(clock);
  eks = new EKSClient({ endpoint: server.url, region: "us-east-1", credentials: { accessKeyId: "AKIA", secretAccessKey: "x" }, maxAttempts: 1 });
  subnetIds = [...(await post({ Action: "DescribeSubnets", Version: "2016-11-15" })).matchAll(/<subnetId>([^<]+)/g)].map(([, id = ""]) => id);
  for (const [RoleName, Service] of [
    ["eks", "eks.amazonaws.com"],
    ["pods", "eks-fargate-pods.amazonaws.com"],
  ] as const) {
    const statement = { Effect: "Allow", Principal: { Service }, Action: "sts:AssumeRole" };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
    await post({ Action: "CreateRole", Version: "2010-05-08", RoleName, AssumeRolePolicyDocument });
  }
  const roleArn = "arn:aws:iam::100000000000:role/eks";
  await eks.send(new CreateClusterCommand({ name: "shop", roleArn, resourcesVpcConfig: { subnetIds } }));
});
afterAll(() => server[Symbol.asyncDispose]());

it("a profile becomes ACTIVE once its cluster is, holds the cluster, and goes", async () => {
  await expect(create()).rejects.toMatchObject({ name: "InvalidRequestException" });
  await reach(async () => (await eks.send(new DescribeClusterCommand({ name: "shop" }))).cluster?.status === "ACTIVE");

  await expect(create({ selectors: [] })).rejects.toThrow("Fargate Profile requires at least one selector.");
  await expect(create({ podExecutionRoleArn: "arn:aws:iam::100000000000:role/none" })).rejects.toMatchObject({ name: "InvalidParameterException" });
  await expect(create({ subnets: ["subnet-00000000000000000"] })).rejects.toThrow("subnet-00000000000000000");
  const { fargateProfile } = await create();
  expect(fargateProfile).toMatchObject({
    fargateProfileName: "web",
    clusterName: "shop",
    status: "CREATING",
    subnets: subnetIds,
    selectors: [{ namespace: "web-*", labels: { tier: "front" } }],
  });
  expect(fargateProfile?.fargateProfileArn).toMatch(/^arn:aws:eks:us-east-1:100000000000:fargateprofile\/shop\/web\/[0-9a-f-]{36}$/);
  const describe = async () => (await eks.send(new DescribeFargateProfileCommand({ clusterName: "shop", fargateProfileName: "web" }))).fargateProfile;
  await reach(async () => (await describe())?.status === "ACTIVE");

  // The same request again is the same profile, another one of the name is none.
  expect((await create()).fargateProfile?.fargateProfileArn).toBe(fargateProfile?.fargateProfileArn);
  await expect(create({ clientRequestToken: "other" })).rejects.toMatchObject({ name: "ResourceInUseException" });
  await expect(eks.send(new DeleteClusterCommand({ name: "shop" }))).rejects.toMatchObject({ name: "ResourceInUseException" });
  expect(await names()).toEqual(["web"]);

  const gone = await eks.send(new DeleteFargateProfileCommand({ clusterName: "shop", fargateProfileName: "web" }));
  expect(gone.fargateProfile?.status).toBe("DELETING");
  await reach(async () => (await names())?.length === 0);
  await expect(describe()).rejects.toThrow("No Fargate Profile found with name: web.");
  expect((await eks.send(new DeleteClusterCommand({ name: "shop" }))).cluster?.status).toBe("DELETING");
});
