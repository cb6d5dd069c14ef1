import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../../core/clock.ts";
import { seededIds } from "../../../core/ids.ts";
import { silentLogger } from "../../../core/logger.ts";
import { Problem } from "../../../core/problem.ts";
import { createMemoryStore } from "../../../store/memory/memory-store.ts";
import { keySet } from "../access/issuer.ts";
import { issuerOf } from "../names.ts";
import type { Roles } from "../ports.ts";
import { CLUSTER_SECRETS, clusterKey, CLUSTERS, POD_IDENTITIES, type PodIdentityAssociationRecord, recordPrefix } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { testCluster } from "../testing.ts";
import type { RequestContext, Service } from "../../../contracts/service.ts";
import { createEksAuthService } from "./auth-service.ts";
import { createPodIdentityAgent, type PodIdentityAgent } from "./credentials.ts";

const cluster = testCluster();
const key = clusterKey(cluster, cluster.name);
const newKey = (): string => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
const [serviceAccountKey, otherKey] = [newKey(), newKey()];
const association: PodIdentityAssociationRecord = {
  account: cluster.account,
  region: cluster.region,
  clusterName: cluster.name,
  id: "a-1",
  namespace: "shop",
  serviceAccount: "api",
  roleArn: "arn:aws:iam::111122223333:role/pods",
  hasSessionTags: true,
  tags: {},
  createdAtMs: 0,
  modifiedAtMs: 0,
  token: "",
};

let clock: FakeClock;
let asked: Parameters<Roles["assume"]>[0][];
let refuse: string | undefined;
let agent: PodIdentityAgent;
let auth: Service;
let store: ReturnType<typeof createMemoryStore>;

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2026, 0, 1));
  asked = [];
  refuse = undefined;
  store = createMemoryStore();
  await store.transact([
    { op: "create", collection: CLUSTERS, key, value: cluster },
    { op: "create", collection: CLUSTER_SECRETS, key, value: { serviceAccountKey } },
  ]);
  await associate({});
  const assume: Roles["assume"] = async (request) => {
    asked.push(request);
    if (refuse !== undefined) throw new Problem("invalid", refuse);
    const expirationMs = clock.nowMs() + 3600_000;
    const assumed = { assumedRoleArn: `arn:aws:sts::111122223333:assumed-role/pods/${request.sessionName}`, assumedRoleId: "AROA1:pods" };
    return { accessKeyId: `ASIA${asked.length}`, secretAccessKey: "s", sessionToken: "t", accountId: "111122223333", expirationMs, ...assumed };
  };
  const ports = { roles: { exists: async () => true, assume } };
  const room = { clock, ids: seededIds("pods"), logger: silentLogger, store, ports } as unknown as EksRoom;
  agent = createPodIdentityAgent(room);
  auth = createEksAuthService(room);
});

async function associate(more: Partial<PodIdentityAssociationRecord>): Promise<void> {
  const value = { ...association, ...more };
  await store.transact([{ op: "put", collection: POD_IDENTITIES, key: `${recordPrefix(cluster)}${value.id}`, value }]);
}

interface Claims {
  readonly audience?: string;
  readonly serviceAccount?: string;
  readonly bound?: object;
  readonly expires?: number;
  readonly signedBy?: string;
}

function token({
  audience = "pods.eks.amazonaws.com",
  serviceAccount = "api",
  bound,
  expires = 3600,
  signedBy = serviceAccountKey,
}: Claims = {}): Promise<string> {
  const kubernetes = bound ?? { namespace: "shop", serviceaccount: { name: serviceAccount, uid: "1" }, pod: { name: "api-0", uid: "pod-1" } };
  const nowSeconds = clock.nowMs() / 1000;
  return new SignJWT({ "kubernetes.io": kubernetes })
    .setProtectedHeader({ alg: "RS256", kid: keySet({ serviceAccountKey }).keys[0]?.kid ?? "" })
    .setIssuer(issuerOf(cluster))
    .setAudience([audience])
    .setIssuedAt(nowSeconds - 10)
    .setExpirationTime(nowSeconds + expires)
    .sign(createPrivateKey(signedBy));
}

const get = async (claims: Claims = {}, podUid = "pod-1"): Promise<unknown> => agent.credentials({ clusterKey: key, podUid }, await token(claims));

describe("the agent of Pod Identity", () => {
  it("gives a pod its association's role, with tags that say whose session it is, and the same again while they are fresh", async () => {
    const first = await get();
    expect(first).toEqual({
      status: 200,
      body: { AccessKeyId: "ASIA1", SecretAccessKey: "s", Token: "t", AccountId: "111122223333", Expiration: "2026-01-01T01:00:00.000Z" },
    });
    expect(asked[0]).toMatchObject({
      roleArn: association.roleArn,
      sessionName: expect.stringMatching(/^eks-shop-api-0-[0-9a-f-]{36}$/),
      by: { service: "pods.eks.amazonaws.com", sourceArn: "arn:aws:eks:us-east-1:111122223333:cluster/shop" },
    });
    expect(Object.fromEntries((asked[0]?.tags ?? []).map((tag) => [tag.key, tag.value]))).toMatchObject({
      "kubernetes-namespace": "shop",
      "kubernetes-service-account": "api",
      "kubernetes-pod-uid": "pod-1",
    });
    expect(await get()).toEqual(first);
    await clock.advance(50 * 60_000);
    expect(await get()).toMatchObject({ body: { AccessKeyId: "ASIA2" } });
  });

  it("goes on to a target role, and by a changed association at once", async () => {
    await get();
    await associate({ targetRoleArn: "arn:aws:iam::444455556666:role/target", hasSessionTags: false, modifiedAtMs: 1 });
    expect(await get()).toMatchObject({ status: 200, body: { AccessKeyId: "ASIA3" } });
    expect(asked[2]).toMatchObject({
      roleArn: "arn:aws:iam::444455556666:role/target",
      tags: [],
      by: { roleArn: association.roleArn, externalId: "us-east-1/111122223333/shop/shop/api" },
    });
  });

  it.each<readonly [string, Claims, string]>([
    ["another service account", { serviceAccount: "web" }, "AccessDeniedException"],
    ["another audience", { audience: "sts.amazonaws.com" }, "InvalidTokenException"],
    ["another key's signature", { signedBy: otherKey }, "InvalidTokenException"],
    ["no pod", { bound: { namespace: "shop", serviceaccount: { name: "api" } } }, "InvalidTokenException"],
    ["an end that has passed", { expires: -1 }, "ExpiredTokenException"],
  ])("refuses a token of %s", async (_what, claims, code) => {
    expect(await get(claims)).toMatchObject({ status: 400, body: { code } });
    expect(asked).toEqual([]);
  });

  it("refuses a token at another pod's address, one that is none, and what the role does not trust", async () => {
    expect(await get({}, "pod-2")).toMatchObject({ status: 400, body: { code: "AccessDeniedException", message: "the token is another pod's" } });
    expect(await agent.credentials({ clusterKey: key, podUid: "pod-1" }, "")).toMatchObject({ body: { code: "InvalidTokenException" } });
    refuse = "the trust policy does not let it";
    expect(await get()).toMatchObject({ status: 400, body: { code: "AccessDeniedException", message: refuse } });
  });
});

describe("EKS Auth", () => {
  const exchange = async (claims: Claims = {}, clusterName = cluster.name): Promise<unknown> => {
    const { account, region } = cluster;
    return auth.operations[0]?.handle({ clusterName, token: await token(claims) }, { account, region } as RequestContext);
  };

  it("gives an agent the role of the pod whose token it has", async () => {
    expect(await exchange()).toMatchObject({
      subject: { namespace: "shop", serviceAccount: "api" },
      audience: "pods.eks.amazonaws.com",
      podIdentityAssociation: { associationArn: "arn:aws:eks:us-east-1:111122223333:podidentityassociation/shop/a-1", associationId: "a-1" },
      assumedRoleUser: { arn: expect.stringContaining("assumed-role/pods/eks-shop-api-0-") as string },
      credentials: { accessKeyId: "ASIA1", expiration: new Date("2026-01-01T01:00:00Z") },
    });
  });

  it("refuses as the agent does, by errors", async () => {
    await expect(exchange({ expires: -1 })).rejects.toMatchObject({ code: "ExpiredTokenException", httpStatus: 400 });
    await expect(exchange({}, "other")).rejects.toMatchObject({ code: "ResourceNotFoundException", httpStatus: 404 });
    refuse = "the trust policy does not let it";
    await expect(exchange()).rejects.toMatchObject({ code: "AccessDeniedException", message: refuse });
  });
});
