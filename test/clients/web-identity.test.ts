import {
  AddClientIDToOpenIDConnectProviderCommand,
  CreateOpenIDConnectProviderCommand,
  CreateRoleCommand,
  DeleteOpenIDConnectProviderCommand,
  GetOpenIDConnectProviderCommand,
  IAMClient,
  ListOpenIDConnectProvidersCommand,
  ListOpenIDConnectProviderTagsCommand,
  RemoveClientIDFromOpenIDConnectProviderCommand,
  TagOpenIDConnectProviderCommand,
  UntagOpenIDConnectProviderCommand,
  UpdateOpenIDConnectProviderThumbprintCommand,
} from "@aws-sdk/client-iam";
import {
  type AssumeRoleWithWebIdentityCommandOutput,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  STSClient,
} from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { createCredentialSource } from "../../src/services/iam/credentials.ts";
import { createIamService } from "../../src/services/iam/service.ts";
import { createIssuerKeys } from "../../src/services/sts/issuer-keys.ts";
import { createStsService } from "../../src/services/sts/service.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";
import { type OidcIssuer, signingKey, signToken, startIssuer, type TokenClaims } from "../support/oidc-issuer.ts";

/** Roles for whom a token of an identity provider names, by the official SDK: of an issuer of Tidegate's own, and of one by HTTPS. */

const ACCOUNT = "100000000000";
const OWN = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
const SUBJECT = "system:serviceaccount:shop:api";
const pair = await signingKey();
const other = await signingKey();

const store = createMemoryStore();
const credentials = createCredentialSource({ store, clock: systemClock, ids: randomIds, config: { account: ACCOUNT } });
let gateway: Gateway;
let iam: IAMClient;
let sts: STSClient;
let endpoint: string;
let foreign: OidcIssuer;

beforeAll(async () => {
  const own = async (issuer: string) => (issuer === OWN ? pair.keys : undefined);
  gateway = createGateway({
    config: { instanceId: "0a1b2c", account: ACCOUNT, region: "us-east-1", auth: "iam" },
    services: [
      createIamService({ store, clock: systemClock, ids: randomIds }),
      createStsService({ issuer: credentials, keys: createIssuerKeys({ clock: systemClock, own }) }),
    ],
    credentials,
    clock: systemClock,
    ids: randomIds,
    logger: silentLogger,
  });
  endpoint = `http://127.0.0.1:${(await gateway.listen("127.0.0.1", 0)).port}`;
  iam = new IAMClient({ endpoint, region: "us-east-1", credentials: await credentials.ensureRootKeys(), maxAttempts: 1 });
  // A client without any key, as in a pod.
  const nobody = async (): Promise<never> => Promise.reject(new Error("there are no credentials"));
  sts = new STSClient({ endpoint, region: "us-east-1", credentials: nobody, maxAttempts: 1 });
  await role("api", OWN, { StringEquals: { [`${OWN.slice(8)}:sub`]: SUBJECT, [`${OWN.slice(8)}:aud`]: "sts.amazonaws.com" } });
  foreign = await startIssuer("localhost");
});
afterAll(async () => {
  foreign[Symbol.dispose]();
  await gateway.close();
  credentials[Symbol.dispose]();
});

async function role(RoleName: string, issuer: string, Condition: object): Promise<void> {
  const Principal = { Federated: `arn:aws:iam::${ACCOUNT}:oidc-provider/${issuer.slice(8)}` };
  const Statement = [{ Effect: "Allow", Principal, Action: "sts:AssumeRoleWithWebIdentity", Condition }];
  const AssumeRolePolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
  await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
}

type Claims = Partial<TokenClaims>;

function token(claims: Claims = {}): Promise<string> {
  return signToken({ key: pair.key, issuer: OWN, subject: SUBJECT, audience: "sts.amazonaws.com", ...claims });
}

function assume(WebIdentityToken: string, name = "api"): Promise<AssumeRoleWithWebIdentityCommandOutput> {
  const RoleArn = `arn:aws:iam::${ACCOUNT}:role/${name}`;
  return sts.send(new AssumeRoleWithWebIdentityCommand({ RoleArn, RoleSessionName: "pod", WebIdentityToken }));
}

describe("an OpenID Connect provider", () => {
  it("is made, shown, changed and deleted", async () => {
    const made = await iam.send(
      new CreateOpenIDConnectProviderCommand({ Url: "https://idp.example.com/x", ClientIDList: ["a"], Tags: [{ Key: "k", Value: "v" }] }),
    );
    const { OpenIDConnectProviderArn } = made;
    expect(OpenIDConnectProviderArn).toBe(`arn:aws:iam::${ACCOUNT}:oidc-provider/idp.example.com/x`);
    const again = iam.send(new CreateOpenIDConnectProviderCommand({ Url: "https://idp.example.com/x" }));
    await expect(again).rejects.toMatchObject({ name: "EntityAlreadyExistsException" });
    await expect(iam.send(new CreateOpenIDConnectProviderCommand({ Url: "http://idp.example.com" }))).rejects.toThrow(
      "Invalid Open ID Connect Provider URL",
    );
    const which = { OpenIDConnectProviderArn };
    await iam.send(new AddClientIDToOpenIDConnectProviderCommand({ ...which, ClientID: "b" }));
    await iam.send(new RemoveClientIDFromOpenIDConnectProviderCommand({ ...which, ClientID: "a" }));
    await iam.send(new UpdateOpenIDConnectProviderThumbprintCommand({ ...which, ThumbprintList: ["AB".repeat(20)] }));
    await iam.send(new TagOpenIDConnectProviderCommand({ ...which, Tags: [{ Key: "l", Value: "w" }] }));
    await iam.send(new UntagOpenIDConnectProviderCommand({ ...which, TagKeys: ["k"] }));
    expect(await iam.send(new GetOpenIDConnectProviderCommand(which))).toMatchObject({
      Url: "idp.example.com/x",
      ClientIDList: ["b"],
      ThumbprintList: ["ab".repeat(20)],
    });
    expect((await iam.send(new ListOpenIDConnectProviderTagsCommand(which))).Tags).toEqual([{ Key: "l", Value: "w" }]);
    expect((await iam.send(new ListOpenIDConnectProvidersCommand({}))).OpenIDConnectProviderList).toEqual([{ Arn: OpenIDConnectProviderArn }]);
    await iam.send(new DeleteOpenIDConnectProviderCommand(which));
    await expect(iam.send(new GetOpenIDConnectProviderCommand(which))).rejects.toMatchObject({ name: "NoSuchEntityException" });
  });
});

describe("a web identity", () => {
  it("is nobody's without a provider in the role's account", async () => {
    await expect(assume(await token())).rejects.toMatchObject({
      name: "InvalidIdentityTokenException",
      message: `No OpenIDConnect provider found in your account for ${OWN}`,
    });
    await iam.send(new CreateOpenIDConnectProviderCommand({ Url: OWN, ClientIDList: ["sts.amazonaws.com"] }));
  });

  it("is nobody's where it names no issuer, or something that is none", async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    for (const claims of [{}, { iss: 5 }]) {
      await expect(assume([part({ alg: "RS256" }), part(claims), "x"].join("."))).rejects.toMatchObject({ name: "InvalidIdentityTokenException" });
    }
  });

  it("is proven by keys that were had for its own provider's thumbprints, not for another's", async () => {
    const keys = createIssuerKeys({ clock: systemClock, own: async () => undefined });
    expect((await keys.of(foreign.url, { thumbprints: [foreign.thumbprint], keyId: "one" })).keys).toHaveLength(1);
    await expect(keys.of(foreign.url, { thumbprints: [], keyId: "one" })).rejects.toThrow("of no authority that is trusted here");
  });

  it("gets a session of the role that trusts it, by a request that nobody signs", async () => {
    const answer = await assume(await token());
    expect(answer).toMatchObject({
      SubjectFromWebIdentityToken: SUBJECT,
      Audience: "sts.amazonaws.com",
      Provider: `arn:aws:iam::${ACCOUNT}:oidc-provider/${OWN.slice(8)}`,
      AssumedRoleUser: { Arn: `arn:aws:sts::${ACCOUNT}:assumed-role/api/pod` },
    });
    const { AccessKeyId: accessKeyId = "", SecretAccessKey: secretAccessKey = "", SessionToken: sessionToken } = answer.Credentials ?? {};
    const session = new STSClient({ endpoint, region: "us-east-1", credentials: { accessKeyId, secretAccessKey, sessionToken } });
    expect((await session.send(new GetCallerIdentityCommand({}))).Arn).toBe(`arn:aws:sts::${ACCOUNT}:assumed-role/api/pod`);
  });

  it.each<readonly [string, Claims, string, string]>([
    ["another key's signature", { key: other.key }, "InvalidIdentityTokenException", "signature"],
    ["a key that the issuer does not have", { keyId: "two" }, "InvalidIdentityTokenException", "Couldn't retrieve verification key"],
    ["another audience", { audience: "https://kubernetes.default.svc" }, "InvalidIdentityTokenException", "Incorrect token audience"],
    ["another issuer", { issuer: `${OWN}0` }, "InvalidIdentityTokenException", "No OpenIDConnect provider found"],
    ["an end that has passed", { expires: "-1m" }, "ExpiredTokenException", "Token expired: current date/time"],
    ["another subject", { subject: "system:serviceaccount:shop:web" }, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"],
  ])("is refused with %s", async (_what, claims, name, words) => {
    const refused = assume(await token(claims));
    await expect(refused).rejects.toMatchObject({ name, message: expect.stringContaining(words) });
  });

  it("is refused when it is no token, was changed on its way, is without a signature, or is for a role that is not there", async () => {
    const good = await token();
    const [head = "", , signature = ""] = good.split(".");
    const body = Buffer.from(JSON.stringify({ iss: OWN, sub: SUBJECT, aud: ["sts.amazonaws.com"], exp: 9999999999 })).toString("base64url");
    const unsigned = `${Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url")}.${body}.`;
    for (const bad of ["nonsense", `${head}.${body}.${signature}`, unsigned]) {
      await expect(assume(bad)).rejects.toMatchObject({ name: "InvalidIdentityTokenException" });
    }
    await expect(assume(good, "nobody")).rejects.toMatchObject({ name: "AccessDenied" });
    await expect(sts.send(new GetCallerIdentityCommand({}))).rejects.toThrow("there are no credentials");
    const asked = await fetch(endpoint, { method: "POST", body: new URLSearchParams({ Action: "GetCallerIdentity", Version: "2011-06-15" }) });
    expect(asked.status).toBe(403);
  });

  it("of an issuer by HTTPS counts where its certificate is one that the provider names", async () => {
    await role("ci", foreign.url, { StringLike: { [`${foreign.url.slice(8)}:sub`]: "repo:*" } });
    const made = await iam.send(new CreateOpenIDConnectProviderCommand({ Url: foreign.url, ClientIDList: ["sts.amazonaws.com"] }));
    const named = { subject: "repo:shop", audience: "sts.amazonaws.com" };
    await expect(assume(await foreign.token(named), "ci")).rejects.toMatchObject({
      name: "IDPCommunicationErrorException",
      message: expect.stringContaining("none of it has a thumbprint of the provider"),
    });
    const which = { OpenIDConnectProviderArn: made.OpenIDConnectProviderArn, ThumbprintList: [foreign.thumbprint] };
    await iam.send(new UpdateOpenIDConnectProviderThumbprintCommand(which));
    expect((await assume(await foreign.token(named), "ci")).AssumedRoleUser?.Arn).toContain("assumed-role/ci/pod");
    await expect(assume(await foreign.token({ ...named, key: other.key }), "ci")).rejects.toMatchObject({ name: "InvalidIdentityTokenException" });
  });
});
