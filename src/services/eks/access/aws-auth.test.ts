import { loadAll } from "js-yaml";
import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../../store/memory/memory-store.ts";
import { clusterKey, CLUSTERS } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { testCluster } from "../testing.ts";
import { type AwsAuth, mappingFor, NO_AWS_AUTH, readAwsAuth } from "./aws-auth.ts";
import { awsAuthOf, createIdentityMap } from "./identity-map.ts";
import { mapUser } from "./token-review.ts";

const ROLES = `
- rolearn: arn:aws:iam::111122223333:role/Developers
  username: dev:{{SessionName}}
  groups:
    - devs
    - "account:{{AccountID}}"
`;
const USERS = `[{ "userarn": "arn:aws:iam::111122223333:user/team/ops", "username": "ops", "groups": ["system:masters"] }]`;
const ACCOUNTS = `- "444455556666"\n`;

const read = (data: Readonly<Record<string, string>> | undefined, last: AwsAuth = NO_AWS_AUTH): ReturnType<typeof readAwsAuth> =>
  readAwsAuth(data, { last, parse: (text) => loadAll(text)[0] });
const good = read({ mapRoles: ROLES, mapUsers: USERS, mapAccounts: ACCOUNTS }).auth;

describe("the ConfigMap aws-auth", () => {
  it("maps roles, users and accounts", () => {
    expect(good).toEqual({
      roles: [{ arn: "arn:aws:iam::111122223333:role/Developers", username: "dev:{{SessionName}}", groups: ["devs", "account:{{AccountID}}"] }],
      users: [{ arn: "arn:aws:iam::111122223333:user/team/ops", username: "ops", groups: ["system:masters"] }],
      accounts: ["444455556666"],
    });
    expect(mappingFor(good, "arn:aws:iam::111122223333:role/developers")?.username).toBe("dev:{{SessionName}}");
    expect(mappingFor(good, "arn:aws:iam::111122223333:user/team/ops")?.groups).toEqual(["system:masters"]);
    const anybody = "arn:aws:iam::444455556666:user/anybody";
    expect(mappingFor(good, anybody)).toEqual({ arn: anybody, username: anybody, groups: [] });
    expect(mappingFor(good, "arn:aws:iam::111122223333:role/other")).toBeUndefined();
    expect(mappingFor(good, "arn:aws:iam::111122223333:user/ops")).toBeUndefined();
  });

  it.each([
    ["mapRoles", "- rolearn: [", "is no YAML"],
    ["mapRoles", "rolearn: x", "is no YAML list"],
    ["mapUsers", "nonsense", "is no YAML list"],
    ["mapAccounts", "{", "is no YAML"],
  ])("keeps %s as it was where it is %j", (key, text, words) => {
    const { auth, faults } = read({ mapRoles: ROLES, mapUsers: USERS, mapAccounts: ACCOUNTS, [key]: text }, good);
    expect(auth).toEqual(good);
    expect(faults).toEqual([expect.stringContaining(`${key} ${words}`)]);
    expect(faults[0]).toContain("stays as it was before");
  });

  it.each([
    ["mapRoles", "- username: x", "has no rolearn"],
    ["mapRoles", "- text", "is no object"],
    ["mapRoles", `- { rolearn: "arn:aws:iam::111122223333:role/team/dev", username: x }`, "with a path"],
    ["mapRoles", `- { rolearn: "arn:aws:iam::111122223333:user/dev", username: x }`, "no role's ARN"],
    ["mapUsers", `- { userarn: "arn:aws:iam::111122223333:user/dev", groups: devs }`, "no list of texts"],
    ["mapAccounts", "- 444455556666", "write the account in quotes"],
    ["mapAccounts", `- "4444"`, "twelve digits"],
  ])("leaves out an item of %s that is %j, and takes the rest", (key, text, words) => {
    const before: Readonly<Record<string, string>> = { mapRoles: ROLES, mapUsers: "", mapAccounts: "" };
    const { auth, faults } = read({ ...before, [key]: `${before[key]}\n${text}\n` });
    expect(faults).toEqual([expect.stringContaining(words)]);
    expect(auth.roles).toHaveLength(1);
    expect([...auth.users, ...auth.accounts]).toEqual([]);
  });

  it("is nobody when it is gone, or empty", () => {
    expect(read(undefined, good)).toEqual({ auth: NO_AWS_AUTH, faults: [] });
    expect(read({ mapRoles: "# none\n" }, good)).toEqual({ auth: NO_AWS_AUTH, faults: [] });
  });
});

describe("an identity that aws-auth maps", () => {
  const session = { arn: "arn:aws:sts::111122223333:assumed-role/Developers/me@example.com", userId: "AROAX:me@example.com", accessKeyId: "ASIA" };
  const user = (arn: string, mode: "CONFIG_MAP" | "API_AND_CONFIG_MAP" = "CONFIG_MAP", awsAuth = good): unknown =>
    mapUser(testCluster({ authenticationMode: mode }), { principal: { ...session, arn }, entry: undefined, awsAuth });

  it("has names and groups with what its session says", () => {
    expect(user(session.arn)).toMatchObject({ user: { username: "dev:me-example.com", groups: ["devs", "account:111122223333"] } });
    expect(user("arn:aws:sts::111122223333:assumed-role/other/me")).toHaveProperty("fault", expect.stringContaining("is not mapped"));
  });

  it("is nobody where the name would be an EC2 instance's", () => {
    const { auth } = read({ mapRoles: ROLES.replace("{{SessionName}}", "{{EC2PrivateDNSName}}") });
    expect(user(session.arn, "CONFIG_MAP", auth)).toHaveProperty("fault", expect.stringContaining("no EC2 instances"));
  });

  it("goes by its access entry where it has one, and creators are administrators without one", () => {
    const entry = { principalArn: "", id: "", username: "by-entry", groups: [], tags: {}, createdAtMs: 0, modifiedAtMs: 0, policies: [] };
    const cluster = testCluster({ authenticationMode: "API_AND_CONFIG_MAP" });
    expect(mapUser(cluster, { principal: session, entry, awsAuth: good })).toMatchObject({ user: { username: "by-entry" } });
    const creator = "arn:aws:sts::111122223333:assumed-role/builder/x";
    expect(user(creator)).toMatchObject({ user: { username: "kubernetes-admin", groups: ["system:masters"] } });
    expect(user(creator, "API_AND_CONFIG_MAP")).toHaveProperty("fault");
  });
});

it("what a cluster's ConfigMap said is kept, told once, and means nothing where access goes by entries alone", async () => {
  const store = createMemoryStore();
  const cluster = testCluster();
  const key = clusterKey(cluster, cluster.name);
  await store.transact([{ op: "create", collection: CLUSTERS, key, value: cluster }]);
  const map = createIdentityMap({ store } as unknown as EksRoom);
  expect(await map.put(key, { data: { mapRoles: ROLES }, resourceVersion: "1" })).toEqual([]);
  const bad = { data: { mapRoles: "- rolearn: [" }, resourceVersion: "2" };
  expect(await map.put(key, bad)).toHaveLength(1);
  expect(await map.put(key, bad)).toEqual([]);
  expect((await awsAuthOf(store, cluster)).roles).toEqual(good.roles);
  expect(await awsAuthOf(store, { ...cluster, authenticationMode: "API" })).toEqual(NO_AWS_AUTH);
  await map.put(key, undefined);
  expect(await awsAuthOf(store, cluster)).toEqual(NO_AWS_AUTH);
});
