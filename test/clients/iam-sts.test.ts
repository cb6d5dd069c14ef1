import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  AttachRolePolicyCommand,
  CreateAccessKeyCommand,
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  CreateRoleCommand,
  CreateServiceLinkedRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeletePolicyCommand,
  DeletePolicyVersionCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserCommand,
  DetachRolePolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListGroupsForUserCommand,
  ListInstanceProfilesForRoleCommand,
  ListPoliciesCommand,
  ListRolePoliciesCommand,
  ListRolesCommand,
  ListRoleTagsCommand,
  PutRolePolicyCommand,
  TagRoleCommand,
  UntagRoleCommand,
  UpdateAccessKeyCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";
import {
  AssumeRoleCommand,
  DecodeAuthorizationMessageCommand,
  GetAccessKeyInfoCommand,
  GetCallerIdentityCommand,
  GetSessionTokenCommand,
  STSClient,
} from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeClock, systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createGateway } from "../../src/gateway/gateway.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { createCredentialSource } from "../../src/services/iam/credentials.ts";
import type { IamCredentials, KeyPair } from "../../src/services/iam/credentials.ts";
import { createIamService } from "../../src/services/iam/service.ts";
import { createStsService } from "../../src/services/sts/service.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";

/** IAM and STS behind the real gateway, called by the JS SDK, boto3 and the aws CLI as they come. */

const ACCOUNT = "123456789012";
const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" }],
});
const READ = JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }] });
const EXECUTION = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";

// The sessions' clock can be moved; the gateway's cannot, since the clients sign with the machine's.
const clock = new FakeClock(systemClock.nowMs());
const store = createMemoryStore();
const config = { instanceId: "0a1b2c", account: ACCOUNT, region: "us-east-1", auth: "iam" as const };
let gateway: Gateway;
let credentials: IamCredentials;
let root: KeyPair;
let endpoint: string;
let iam: IAMClient;
let sts: STSClient;

beforeAll(async () => {
  credentials = createCredentialSource({ store, clock, ids: randomIds, config });
  root = await credentials.ensureRootKeys();
  gateway = createGateway({
    config,
    services: [
      createIamService({ store, clock, ids: randomIds }),
      createStsService({ issuer: credentials, keys: { of: async () => ({ keys: [] }) } }),
    ],
    credentials,
    clock: systemClock,
    ids: randomIds,
    logger: silentLogger,
  });
  const { port } = await gateway.listen("127.0.0.1", 0);
  endpoint = `http://127.0.0.1:${port}`;
  iam = new IAMClient({ endpoint, region: "us-east-1", credentials: { ...root }, maxAttempts: 1 });
  sts = stsFor(root);
});

afterAll(async () => {
  await gateway.close();
  credentials[Symbol.dispose]();
});

function stsFor(keys: KeyPair & { readonly sessionToken?: string }): STSClient {
  return new STSClient({ endpoint, region: "eu-central-1", credentials: { ...keys }, maxAttempts: 1 });
}

const sessionKeys = (
  given: { AccessKeyId?: string; SecretAccessKey?: string; SessionToken?: string } | undefined,
): KeyPair & { readonly sessionToken: string } => ({
  accessKeyId: given?.AccessKeyId ?? "",
  secretAccessKey: given?.SecretAccessKey ?? "",
  sessionToken: given?.SessionToken ?? "",
});

async function refused(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "not refused";
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return `${$metadata?.httpStatusCode} ${name}: ${message}`;
  }
}

describe("IAM through the JS SDK", () => {
  it("a role from its making to its end, as Terraform's aws_iam_role goes", async () => {
    const { Role } = await iam.send(
      new CreateRoleCommand({ RoleName: "web", AssumeRolePolicyDocument: TRUST, Description: "a <b> & c", Tags: [{ Key: "team", Value: "core" }] }),
    );
    expect(Role).toMatchObject({
      RoleName: "web",
      Path: "/",
      Arn: `arn:aws:iam::${ACCOUNT}:role/web`,
      MaxSessionDuration: 3600,
      Description: "a <b> & c",
    });
    expect(Role?.RoleId).toMatch(/^AROA[A-Z2-7]{17}$/);
    expect(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? "")).toBe(TRUST);
    expect(Role?.AssumeRolePolicyDocument).not.toContain("{");
    expect(await refused(iam.send(new CreateRoleCommand({ RoleName: "WEB", AssumeRolePolicyDocument: TRUST })))).toBe(
      "409 EntityAlreadyExistsException: Role with name WEB already exists.",
    );

    expect((await iam.send(new ListInstanceProfilesForRoleCommand({ RoleName: "web" }))).InstanceProfiles).toEqual([]);
    expect((await iam.send(new ListRolePoliciesCommand({ RoleName: "web" }))).PolicyNames).toEqual([]);
    expect((await iam.send(new ListAttachedRolePoliciesCommand({ RoleName: "web" }))).AttachedPolicies).toEqual([]);

    await iam.send(new PutRolePolicyCommand({ RoleName: "web", PolicyName: "read", PolicyDocument: READ }));
    expect(decodeURIComponent((await iam.send(new GetRolePolicyCommand({ RoleName: "web", PolicyName: "read" }))).PolicyDocument ?? "")).toBe(READ);
    await iam.send(new AttachRolePolicyCommand({ RoleName: "web", PolicyArn: EXECUTION }));
    await iam.send(new AttachRolePolicyCommand({ RoleName: "web", PolicyArn: EXECUTION }));
    expect((await iam.send(new ListAttachedRolePoliciesCommand({ RoleName: "web" }))).AttachedPolicies).toEqual([
      { PolicyArn: EXECUTION, PolicyName: "AmazonECSTaskExecutionRolePolicy" },
    ]);

    await iam.send(new UpdateRoleCommand({ RoleName: "web", MaxSessionDuration: 7200 }));
    const trust = TRUST.replace("ecs-tasks", "ecs");
    await iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: "web", PolicyDocument: trust }));
    await iam.send(
      new TagRoleCommand({
        RoleName: "web",
        Tags: [
          { Key: "team", Value: "edge" },
          { Key: "cost", Value: "" },
        ],
      }),
    );
    await iam.send(new UntagRoleCommand({ RoleName: "web", TagKeys: ["cost"] }));
    expect((await iam.send(new ListRoleTagsCommand({ RoleName: "web" }))).Tags).toEqual([{ Key: "team", Value: "edge" }]);
    const got = (await iam.send(new GetRoleCommand({ RoleName: "web" }))).Role;
    expect(got).toMatchObject({ MaxSessionDuration: 7200, Description: "a <b> & c", Tags: [{ Key: "team", Value: "edge" }], RoleLastUsed: {} });
    expect(decodeURIComponent(got?.AssumeRolePolicyDocument ?? "")).toBe(trust);

    expect(await refused(iam.send(new DeleteRoleCommand({ RoleName: "web" })))).toBe(
      "409 DeleteConflictException: Cannot delete entity, must detach all policies first.",
    );
    await iam.send(new DetachRolePolicyCommand({ RoleName: "web", PolicyArn: EXECUTION }));
    expect(await refused(iam.send(new DeleteRoleCommand({ RoleName: "web" })))).toBe(
      "409 DeleteConflictException: Cannot delete entity, must delete policies first.",
    );
    await iam.send(new DeleteRolePolicyCommand({ RoleName: "web", PolicyName: "read" }));
    await iam.send(new DeleteRoleCommand({ RoleName: "web" }));
    expect(await refused(iam.send(new GetRoleCommand({ RoleName: "web" })))).toBe(
      "404 NoSuchEntityException: The role with name web cannot be found.",
    );
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    [
      "a document that is no JSON",
      () => iam.send(new CreateRoleCommand({ RoleName: "x", AssumeRolePolicyDocument: "{" })),
      /^400 MalformedPolicyDocumentException: This policy contains invalid Json$/,
    ],
    [
      "a name with spaces",
      () => iam.send(new CreateRoleCommand({ RoleName: "a b", AssumeRolePolicyDocument: TRUST })),
      /^400 ValidationError: 1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: \[\\w\+=,\.@-\]\+$/,
    ],
    [
      "a session too short",
      () => iam.send(new CreateRoleCommand({ RoleName: "x", AssumeRolePolicyDocument: TRUST, MaxSessionDuration: 60 })),
      /Value '60' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600$/,
    ],
    [
      "a permissions boundary",
      () => iam.send(new CreateRoleCommand({ RoleName: "x", AssumeRolePolicyDocument: TRUST, PermissionsBoundary: EXECUTION })),
      /^400 InvalidInputException: Tidegate does not support PermissionsBoundary: permissions boundaries are not evaluated yet\.$/,
    ],
    [
      "attaching to nobody",
      () => iam.send(new AttachRolePolicyCommand({ RoleName: "nobody", PolicyArn: EXECUTION })),
      /^404 NoSuchEntityException: The role with name nobody cannot be found\.$/,
    ],
    [
      "an AWS-managed policy that is none",
      () => iam.send(new GetPolicyCommand({ PolicyArn: "arn:aws:iam::aws:policy/AmazonNothing" })),
      /^404 NoSuchEntityException: Policy arn:aws:iam::aws:policy\/AmazonNothing was not found\.$/,
    ],
    [
      "a service without a linked role",
      () => iam.send(new CreateServiceLinkedRoleCommand({ AWSServiceName: "lex.amazonaws.com" })),
      /^400 InvalidInputException: Tidegate has no service-linked role for lex\.amazonaws\.com/,
    ],
  ])("refuses %s", async (_what, call, message) => {
    expect(await refused(call())).toMatch(message);
  });

  it("managed policies: versions, attachments, deletion", async () => {
    const arn = (await iam.send(new CreatePolicyCommand({ PolicyName: "Reader", Path: "/team/", PolicyDocument: READ }))).Policy?.Arn;
    expect(arn).toBe(`arn:aws:iam::${ACCOUNT}:policy/team/Reader`);
    const version = await iam.send(
      new CreatePolicyVersionCommand({ PolicyArn: arn, PolicyDocument: READ.replace("s3:GetObject", "s3:*"), SetAsDefault: true }),
    );
    expect(version.PolicyVersion).toMatchObject({ VersionId: "v2", IsDefaultVersion: true });
    await iam.send(new CreateRoleCommand({ RoleName: "reader", AssumeRolePolicyDocument: TRUST }));
    await iam.send(new AttachRolePolicyCommand({ RoleName: "reader", PolicyArn: arn }));
    expect((await iam.send(new GetPolicyCommand({ PolicyArn: arn }))).Policy).toMatchObject({ DefaultVersionId: "v2", AttachmentCount: 1 });
    expect((await iam.send(new ListPoliciesCommand({ Scope: "Local" }))).Policies).toMatchObject([{ Arn: arn }]);
    expect(await refused(iam.send(new DeletePolicyCommand({ PolicyArn: arn })))).toMatch(
      /^409 DeleteConflictException: Cannot delete a policy attached to entities/,
    );
    await iam.send(new DetachRolePolicyCommand({ RoleName: "reader", PolicyArn: arn }));
    expect(await refused(iam.send(new DeletePolicyCommand({ PolicyArn: arn })))).toMatch(/more than one version/);
    expect(await refused(iam.send(new DeletePolicyVersionCommand({ PolicyArn: arn, VersionId: "v2" })))).toMatch(/Cannot delete the default version/);
    await iam.send(new DeletePolicyVersionCommand({ PolicyArn: arn, VersionId: "v1" }));
    await iam.send(new DeletePolicyCommand({ PolicyArn: arn }));
    await iam.send(new DeleteRoleCommand({ RoleName: "reader" }));
    const managed = await iam.send(new GetPolicyVersionCommand({ PolicyArn: EXECUTION, VersionId: "v1" }));
    expect(JSON.parse(decodeURIComponent(managed.PolicyVersion?.Document ?? ""))).toMatchObject({ Statement: [{ Effect: "Allow" }] });
  });

  it("lists page by page", async () => {
    const names = ["Page-a", "page-B", "page-c", "page-d", "page-e"];
    for (const RoleName of names) await iam.send(new CreateRoleCommand({ RoleName, Path: "/paged/", AssumeRolePolicyDocument: TRUST }));
    const seen: (string | undefined)[][] = [];
    let Marker: string | undefined;
    do {
      const page = await iam.send(new ListRolesCommand({ PathPrefix: "/paged/", MaxItems: 2, Marker }));
      seen.push((page.Roles ?? []).map((role) => role.RoleName));
      expect(page.IsTruncated).toBe(page.Marker !== undefined);
      Marker = page.Marker;
    } while (Marker !== undefined);
    expect(seen).toEqual([["Page-a", "page-B"], ["page-c", "page-d"], ["page-e"]]);
    expect(await refused(iam.send(new ListRolesCommand({ Marker: "nonsense" })))).toMatch(/^400 ValidationError: Invalid Marker/);
  });

  it("service-linked roles are AWS's alone to change", async () => {
    const { Role } = await iam.send(new CreateServiceLinkedRoleCommand({ AWSServiceName: "ecs.amazonaws.com" }));
    expect(Role).toMatchObject({ RoleName: "AWSServiceRoleForECS", Path: "/aws-service-role/ecs.amazonaws.com/" });
    expect(await refused(iam.send(new CreateServiceLinkedRoleCommand({ AWSServiceName: "ecs.amazonaws.com" })))).toMatch(
      /^400 InvalidInputException: Service role name AWSServiceRoleForECS has been taken/,
    );
    expect(await refused(iam.send(new DeleteRoleCommand({ RoleName: "AWSServiceRoleForECS" })))).toMatch(/^400 UnmodifiableEntityException/);
  });
});

describe("keys and sessions", () => {
  it("the keys made at first start stay the same, and are the root's", async () => {
    expect(await credentials.ensureRootKeys()).toEqual(root);
    expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Account: ACCOUNT,
      Arn: `arn:aws:iam::${ACCOUNT}:root`,
      UserId: ACCOUNT,
    });
    expect((await sts.send(new GetAccessKeyInfoCommand({ AccessKeyId: root.accessKeyId }))).Account).toBe(ACCOUNT);
  });

  it("a user's keys: two at most, off when inactive, gone when deleted", async () => {
    await iam.send(new CreateUserCommand({ UserName: "dev", Path: "/people/" }));
    expect((await iam.send(new ListGroupsForUserCommand({ UserName: "dev" }))).Groups).toEqual([]);
    expect(await refused(iam.send(new ListGroupsForUserCommand({ UserName: "nobody" })))).toMatch(/The user with name nobody cannot be found/);
    const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: "dev" }));
    await iam
      .send(new CreateAccessKeyCommand({ UserName: "dev" }))
      .then(({ AccessKey: second }) => iam.send(new DeleteAccessKeyCommand({ UserName: "dev", AccessKeyId: second?.AccessKeyId })));
    const both = await Promise.allSettled([1, 2, 3].map(() => iam.send(new CreateAccessKeyCommand({ UserName: "dev" }))));
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected", "rejected"]);
    const asDev = stsFor({ accessKeyId: AccessKey?.AccessKeyId ?? "", secretAccessKey: AccessKey?.SecretAccessKey ?? "" });
    expect(await asDev.send(new GetCallerIdentityCommand({}))).toMatchObject({
      Arn: `arn:aws:iam::${ACCOUNT}:user/people/dev`,
      UserId: expect.stringMatching(/^AIDA/) as string,
    });
    await iam.send(new UpdateAccessKeyCommand({ UserName: "dev", AccessKeyId: AccessKey?.AccessKeyId, Status: "Inactive" }));
    expect(await refused(asDev.send(new GetCallerIdentityCommand({})))).toBe(
      "403 InvalidClientTokenId: The security token included in the request is invalid.",
    );
    await iam.send(new UpdateAccessKeyCommand({ UserName: "dev", AccessKeyId: AccessKey?.AccessKeyId, Status: "Active" }));
    await asDev.send(new GetCallerIdentityCommand({}));
    expect(await refused(iam.send(new DeleteUserCommand({ UserName: "dev" })))).toBe(
      "409 DeleteConflictException: Cannot delete entity, must delete access keys first.",
    );
    await iam.send(new DeleteAccessKeyCommand({ UserName: "dev", AccessKeyId: AccessKey?.AccessKeyId }));
    expect(await refused(asDev.send(new GetCallerIdentityCommand({})))).toMatch(/^403 InvalidClientTokenId/);
  });

  it("a role's session acts as the role, in its limits, until it expires", async () => {
    await iam.send(new CreateRoleCommand({ RoleName: "job", Path: "/deep/er/", AssumeRolePolicyDocument: TRUST }));
    const RoleArn = `arn:aws:iam::${ACCOUNT}:role/deep/er/job`;
    const assumed = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "s-1", DurationSeconds: 900 }));
    const Arn = `arn:aws:sts::${ACCOUNT}:assumed-role/job/s-1`;
    expect(assumed.AssumedRoleUser).toEqual({ AssumedRoleId: expect.stringMatching(/^AROA[A-Z2-7]{17}:s-1$/) as string, Arn });
    expect(assumed.Credentials?.AccessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(assumed.Credentials?.Expiration?.getTime()).toBe(Math.floor(clock.nowMs() / 1000 + 900) * 1000);
    const asJob = stsFor(sessionKeys(assumed.Credentials));
    expect(await asJob.send(new GetCallerIdentityCommand({}))).toMatchObject({ Arn, UserId: assumed.AssumedRoleUser?.AssumedRoleId });
    expect(await refused(asJob.send(new GetSessionTokenCommand({})))).toBe("403 AccessDenied: Cannot call GetSessionToken with session credentials");
    expect(await refused(stsFor({ ...sessionKeys(assumed.Credentials), sessionToken: "forged" }).send(new GetCallerIdentityCommand({})))).toMatch(
      /^403 InvalidClientTokenId/,
    );
    expect(await refused(sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "s-1", DurationSeconds: 3601 })))).toMatch(
      /exceeds the MaxSessionDuration/,
    );
    const missing = `arn:aws:iam::${ACCOUNT}:role/job`;
    expect(await refused(sts.send(new AssumeRoleCommand({ RoleArn: missing, RoleSessionName: "s-1" })))).toBe(
      `403 AccessDenied: User: arn:aws:iam::${ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: ${missing}`,
    );
    expect(await refused(sts.send(new DecodeAuthorizationMessageCommand({ EncodedMessage: "x" })))).toBe(
      "400 UnsupportedOperation: The operation DecodeAuthorizationMessage of sts is not built in Tidegate yet.",
    );
  });

  it("an expired session is told so", async () => {
    await iam.send(new CreateRoleCommand({ RoleName: "brief", AssumeRolePolicyDocument: TRUST }));
    const past = createCredentialSource({ store, clock: new FakeClock(systemClock.nowMs() - 1000_000), ids: randomIds, config });
    const session = await past.issueRoleSession({
      roleArn: `arn:aws:iam::${ACCOUNT}:role/brief`,
      sessionName: "t",
      durationSeconds: 900,
      account: ACCOUNT,
    });
    past[Symbol.dispose]();
    expect(await refused(stsFor(session).send(new GetCallerIdentityCommand({})))).toBe(
      "403 ExpiredToken: The security token included in the request is expired",
    );
  });

  it("credentials survive a restart of everything but the store", async () => {
    const { Credentials } = await sts.send(new GetSessionTokenCommand({}));
    using again = createCredentialSource({ store, clock, ids: randomIds, config });
    expect(await again.ensureRootKeys()).toEqual(root);
    expect(await again.find(Credentials?.AccessKeyId ?? "")).toMatchObject({ sessionToken: Credentials?.SessionToken, account: ACCOUNT });
  });
});

const run = promisify(execFile);

function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    AWS_ACCESS_KEY_ID: root.accessKeyId,
    AWS_SECRET_ACCESS_KEY: root.secretAccessKey,
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_MAX_ATTEMPTS: "1",
  };
}

describe("other clients", () => {
  it("the aws CLI", async () => {
    const aws = async (...args: readonly string[]): Promise<unknown> => {
      const { stdout } = await run("aws", ["--endpoint-url", endpoint, "--output", "json", ...args], { env: environment() });
      return stdout === "" ? undefined : JSON.parse(stdout);
    };
    expect(await aws("sts", "get-caller-identity")).toEqual({ UserId: ACCOUNT, Account: ACCOUNT, Arn: `arn:aws:iam::${ACCOUNT}:root` });
    expect(await aws("iam", "create-role", "--role-name", "exec", "--assume-role-policy-document", TRUST)).toMatchObject({
      Role: { RoleName: "exec", AssumeRolePolicyDocument: JSON.parse(TRUST) as unknown },
    });
    expect(await aws("iam", "attach-role-policy", "--role-name", "exec", "--policy-arn", EXECUTION)).toBeUndefined();
    expect(await aws("iam", "list-attached-role-policies", "--role-name", "exec")).toEqual({
      AttachedPolicies: [{ PolicyName: "AmazonECSTaskExecutionRolePolicy", PolicyArn: EXECUTION }],
    });
    await expect(aws("iam", "create-instance-profile", "--instance-profile-name", "p")).rejects.toThrow(
      "The operation CreateInstanceProfile of iam is not built in Tidegate yet.",
    );
  });

  it("boto3: a waiter, a paginator, a presigned URL and an error's class", async () => {
    const script = `
import boto3, json, sys, urllib.request
endpoint, trust = sys.argv[1], sys.argv[2]
iam, sts = boto3.client("iam", endpoint_url=endpoint), boto3.client("sts", endpoint_url=endpoint)
iam.create_role(RoleName="boto", AssumeRolePolicyDocument=trust)
iam.get_waiter("role_exists").wait(RoleName="boto")
try:
    iam.create_role(RoleName="boto", AssumeRolePolicyDocument=trust)
except iam.exceptions.EntityAlreadyExistsException as e:
    error = e.response["Error"]
names = [r["RoleName"] for page in iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 1}) for r in page["Roles"]]
url = sts.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
body = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).read().decode()
session = sts.assume_role(RoleArn=iam.get_role(RoleName="boto")["Role"]["Arn"], RoleSessionName="boto-1", Tags=[{"Key": "k", "Value": "v"}])
print(json.dumps({"error": error, "names": "boto" in names and names == sorted(names, key=str.lower), "presigned": "arn:aws:iam::" in body, "session": session["AssumedRoleUser"]["Arn"], "code": session["ResponseMetadata"]["HTTPStatusCode"]}))
`;
    const { stdout } = await run("python3", ["-c", script, endpoint, TRUST], { env: environment() });
    expect(JSON.parse(stdout)).toEqual({
      error: { Type: "Sender", Code: "EntityAlreadyExists", Message: "Role with name boto already exists." },
      names: true,
      presigned: true,
      session: `arn:aws:sts::${ACCOUNT}:assumed-role/boto/boto-1`,
      code: 200,
    });
  });
});
