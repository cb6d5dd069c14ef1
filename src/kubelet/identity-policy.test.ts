import { expect, it } from "vitest";
import { IDENTITY_POLICY_BINDING, IDENTITY_POLICY_NAME, identityPolicy } from "./identity-policy.ts";

const conditionOf = (associated: Parameters<typeof identityPolicy>[0]["associated"]): string =>
  identityPolicy({ region: "eu-west-3", associated }).spec?.matchConditions?.[1]?.expression ?? "";

it("is for pods of service accounts with a role, by their annotation", () => {
  expect(conditionOf([])).toBe('(has(params.metadata.annotations) && "eks.amazonaws.com/role-arn" in params.metadata.annotations)');
  const { spec } = identityPolicy({ region: "eu-west-3", associated: [] });
  expect(spec?.paramKind).toEqual({ apiVersion: "v1", kind: "ServiceAccount" });
  expect(spec?.matchConstraints?.objectSelector?.matchExpressions).toEqual([
    { key: "eks.amazonaws.com/skip-pod-identity-webhook", operator: "DoesNotExist" },
  ]);
  expect(IDENTITY_POLICY_BINDING.spec).toEqual({ policyName: IDENTITY_POLICY_NAME, paramRef: { selector: {}, parameterNotFoundAction: "Allow" } });
});

it("is for pods of service accounts with an association, whatever their order", () => {
  const [a, b] = [
    { namespace: "default", serviceAccount: "a" },
    { namespace: "default", serviceAccount: "b" },
  ];
  expect(conditionOf([b, a])).toContain('((request.namespace + "/" + params.metadata.name) in ["default/a","default/b"])');
  expect(identityPolicy({ region: "r", associated: [b, a] })).toEqual(identityPolicy({ region: "r", associated: [a, b] }));
});

it("says the cluster's region", () => {
  const { jsonPatch } = identityPolicy({ region: "eu-west-3", associated: [] }).spec?.mutations?.[0] ?? {};
  expect(jsonPatch?.expression).toContain('dyn({"name": "AWS_REGION", "value": "eu-west-3"})');
  expect(jsonPatch?.expression).toContain("/var/run/secrets/eks.amazonaws.com/serviceaccount/token");
});
