import { describe, expect, it } from "vitest";
import { isAllowed, type AccessRequest } from "./authorize.ts";
import { accessPolicies, readGroups, readScope, readUsername } from "./entry-rules.ts";
import { NO_AWS_AUTH } from "./aws-auth.ts";
import { mapUser } from "./token-review.ts";
import { testCluster } from "../testing.ts";
import type { AccessEntryRecord, AssociatedPolicy } from "../records.ts";

const TIMES = { associatedAtMs: 0, modifiedAtMs: 0 };

function policy(name: string, namespaces?: readonly string[]): readonly AssociatedPolicy[] {
  return [{ policyArn: `arn:aws:eks::aws:cluster-access-policy/${name}`, ...(namespaces && { namespaces }), ...TIMES }];
}

/** `get pods/log in dev`, `list nodes`, `create deployments.apps in dev`. */
function request(text: string): AccessRequest {
  const [, verb, path = "", namespace] = /^(\w+) (\S+)(?: in (\S+))?$/.exec(text) ?? [];
  if (path.startsWith("/")) return { nonResourceAttributes: { verb: verb ?? "", path } };
  const [full = "", subresource] = path.split("/");
  const [resource = "", ...group] = full.split(".");
  return { resourceAttributes: { verb, resource, group: group.join("."), ...(subresource && { subresource }), ...(namespace && { namespace }) } };
}

describe("access policies", () => {
  it.each([
    ["AmazonEKSClusterAdminPolicy", undefined, "delete nodes", true],
    ["AmazonEKSClusterAdminPolicy", undefined, "get /metrics", true],
    ["AmazonEKSClusterAdminPolicy", undefined, "patch widgets.example.com in dev", true],
    ["AmazonEKSClusterAdminPolicy", ["dev"], "delete secrets in dev", true],
    ["AmazonEKSClusterAdminPolicy", ["dev"], "delete secrets in prod", false],
    ["AmazonEKSClusterAdminPolicy", ["dev"], "list nodes", false],
    ["AmazonEKSClusterAdminPolicy", ["dev"], "get /metrics", false],
    ["AmazonEKSAdminPolicy", undefined, "create rolebindings.rbac.authorization.k8s.io in dev", true],
    ["AmazonEKSAdminPolicy", undefined, "list nodes", false],
    ["AmazonEKSEditPolicy", undefined, "create deployments.apps in dev", true],
    ["AmazonEKSEditPolicy", undefined, "get secrets in dev", true],
    ["AmazonEKSEditPolicy", undefined, "create pods/exec in dev", true],
    ["AmazonEKSEditPolicy", undefined, "create rolebindings.rbac.authorization.k8s.io in dev", false],
    ["AmazonEKSViewPolicy", undefined, "get pods/log in dev", true],
    ["AmazonEKSViewPolicy", undefined, "get secrets in dev", false],
    ["AmazonEKSViewPolicy", undefined, "delete pods in dev", false],
    ["AmazonEKSViewPolicy", undefined, "get pods/exec in dev", false],
    ["AmazonEKSViewPolicy", undefined, "list deployments in dev", false],
    ["AmazonEKSViewPolicy", ["dev-*"], "list pods in dev-a", true],
    ["AmazonEKSViewPolicy", ["dev-*"], "list pods in a-dev-a", false],
    ["AmazonEKSViewPolicy", ["*"], "list nodes", false],
    ["AmazonEKSAdminViewPolicy", undefined, "get secrets in dev", true],
    ["AmazonEKSAdminViewPolicy", undefined, "delete secrets in dev", false],
    ["AmazonEKSAdminViewPolicy", undefined, "get /metrics", false],
    ["Nonsense", undefined, "get pods in dev", false],
  ])("%s for %j: %s is %s", (name, namespaces, text, allowed) => {
    expect(isAllowed(policy(name, namespaces), request(text))).toBe(allowed);
  });

  it("add up, and are none without one", () => {
    const both = [...policy("AmazonEKSViewPolicy"), ...policy("AmazonEKSEditPolicy", ["dev"])];
    expect(isAllowed(both, request("delete pods in dev"))).toBe(true);
    expect(isAllowed(both, request("delete pods in prod"))).toBe(false);
    expect(isAllowed(both, request("get pods in prod"))).toBe(true);
    expect(isAllowed([], request("get pods in dev"))).toBe(false);
    expect(accessPolicies()).toHaveLength(5);
  });

  it("have scopes of namespaces, with a wildcard, or none", () => {
    expect(readScope({ type: "cluster" })).toBeUndefined();
    expect(readScope({ type: "namespace", namespaces: ["dev-*", "a"] })).toEqual(["dev-*", "a"]);
    expect(() => readScope({ type: "cluster", namespaces: ["a"] })).toThrow("should not include namespaces");
    expect(() => readScope({ type: "namespace" })).toThrow("At least 1 namespace");
    expect(() => readScope({ type: "namespace", namespaces: ["A("] })).toThrow("invalid");
  });
});

describe("an access entry", () => {
  const role = "arn:aws:iam::111122223333:role/team/dev";
  const principal = { arn: "arn:aws:sts::111122223333:assumed-role/dev/me@example.com", userId: "AROAX:me@example.com", accessKeyId: "ASIA" };
  const entry = (more: Partial<AccessEntryRecord>): AccessEntryRecord => ({
    principalArn: role,
    id: "1",
    username: readUsername(undefined, role),
    groups: [],
    tags: {},
    createdAtMs: 0,
    modifiedAtMs: 0,
    policies: [],
    ...more,
  });

  it("gives a role's session a name and groups of its own", () => {
    const cluster = testCluster({ authenticationMode: "API" });
    const user = (more: Partial<AccessEntryRecord>): unknown => {
      const review = mapUser(cluster, { principal, entry: entry(more), awsAuth: NO_AWS_AUTH });
      return "user" in review ? review.user : review;
    };
    expect(user({ groups: ["devs"] })).toMatchObject({
      username: "arn:aws:sts::111122223333:assumed-role/dev/me-example.com",
      uid: "aws-iam-authenticator:111122223333:AROAX",
      groups: ["devs"],
    });
    expect(user({ username: "dev:{{AccountID}}:{{SessionNameRaw}}" })).toMatchObject({ username: "dev:111122223333:me@example.com" });
    expect(mapUser(cluster, { principal, entry: undefined, awsAuth: NO_AWS_AUTH })).toHaveProperty("fault");
  });

  it("takes no name or group that Kubernetes or AWS has for itself", () => {
    expect(readUsername("dev:{{SessionName}}", role)).toBe("dev:{{SessionName}}");
    expect(() => readUsername("system:admin", role)).toThrow("The username must not begin with system:");
    expect(() => readUsername("eks:admin", role)).toThrow("The username must not begin with eks:");
    expect(() => readUsername("{{SessionName}}", role)).toThrow("before {{SessionName}}");
    expect(() => readGroups(["system:masters"])).toThrow("The kubernetes group name system:masters is invalid, it cannot start with system:");
  });
});
