import { describe, expect, it } from "vitest";
import { isTrusted, type TrustRequest } from "./trust.ts";

const ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/ABC";
const PROVIDER = `arn:aws:iam::111122223333:oidc-provider/${ISSUER}`;
const REQUEST: TrustRequest = {
  action: "sts:AssumeRoleWithWebIdentity",
  principal: { type: "Federated", names: [PROVIDER] },
  context: { [`${ISSUER}:sub`]: ["system:serviceaccount:shop:api"], [`${ISSUER}:aud`]: ["sts.amazonaws.com"] },
};

function policy(...statements: readonly object[]): string {
  const allow = { Effect: "Allow", Action: REQUEST.action, Principal: { Federated: PROVIDER } };
  return JSON.stringify({ Version: "2012-10-17", Statement: statements.map((statement) => ({ ...allow, ...statement })) });
}

const when = (operator: string, key: string, value: unknown): object => ({ Condition: { [operator]: { [`${ISSUER}:${key}`]: value } } });

describe("a trust policy", () => {
  it.each([
    ["no condition", {}, true],
    ["the subject", when("StringEquals", "sub", "system:serviceaccount:shop:api"), true],
    ["another subject", when("StringEquals", "sub", "system:serviceaccount:shop:web"), false],
    ["one of several subjects", when("StringEquals", "sub", ["x", "system:serviceaccount:shop:api"]), true],
    ["a pattern in StringEquals", when("StringEquals", "sub", "system:serviceaccount:shop:*"), false],
    ["a pattern in StringLike", when("StringLike", "sub", "system:serviceaccount:shop:*"), true],
    ["a question mark", when("StringLike", "sub", "system:serviceaccount:sho?:api"), true],
    ["another namespace's pattern", when("StringLike", "sub", "system:serviceaccount:prod:*"), false],
    ["a key in another case", { Condition: { StringEquals: { [`${ISSUER.toUpperCase()}:AUD`]: "sts.amazonaws.com" } } }, true],
    [
      "a key of another issuer",
      { Condition: { StringEquals: { "oidc.eks.us-east-1.amazonaws.com/id/DEF:sub": "system:serviceaccount:shop:api" } } },
      false,
    ],
    ["a key that may be missing", when("StringEqualsIfExists", "amr", "x"), true],
    ["a key that is missing", when("StringEquals", "amr", "x"), false],
    ["any of the values", when("ForAnyValue:StringEquals", "aud", ["sts.amazonaws.com", "x"]), true],
    ["any value but this one, of a key that is missing", when("ForAnyValue:StringNotEquals", "amr", "x"), false],
    ["no value but this one, of a key that is missing", when("ForAllValues:StringEquals", "amr", "x"), true],
    ["a missing key that is not to be this", when("StringNotEquals", "amr", "x"), true],
    ["an operator of JavaScript's", when("constructor", "sub", "x"), false],
    ["not this subject", when("StringNotEquals", "sub", "system:serviceaccount:shop:api"), false],
    ["not that subject", when("StringNotLike", "sub", "system:serviceaccount:prod:*"), true],
    ["a null key", when("Null", "amr", "true"), true],
    ["an operator that is not known", when("NumericEquals", "sub", "1"), false],
    [
      "two conditions of which one does not hold",
      { Condition: { StringEquals: { [`${ISSUER}:sub`]: "x", [`${ISSUER}:aud`]: "sts.amazonaws.com" } } },
      false,
    ],
    ["another provider", { Principal: { Federated: `${PROVIDER}D` } }, false],
    ["a service", { Principal: { Service: "ec2.amazonaws.com" } }, false],
    ["any principal", { Principal: "*" }, true],
    ["another action", { Action: "sts:AssumeRole" }, false],
    ["one of the actions", { Action: ["sts:AssumeRole", "sts:assumerolewithwebidentity"] }, true],
    ["all but one action", { Action: undefined, NotAction: "sts:TagSession" }, true],
    ["all but this action", { Action: undefined, NotAction: "sts:AssumeRoleWith*" }, false],
  ])("with %s", (_what, statement, trusted) => {
    expect(isTrusted(policy(statement), REQUEST)).toBe(trusted);
  });

  it("takes no longer for a pattern that a regular expression would try for ever", () => {
    const subject = `${"*a".repeat(30)}*b`;
    const request = { ...REQUEST, context: { ...REQUEST.context, [`${ISSUER}:sub`]: ["a".repeat(200)] } };
    expect(isTrusted(policy(when("StringLike", "sub", subject)), request)).toBe(false);
  });

  it("denies over what it allows, also what cannot be judged", () => {
    const denied = when("StringEquals", "sub", "system:serviceaccount:shop:api");
    expect(isTrusted(policy({}, { Effect: "Deny", ...denied }), REQUEST)).toBe(false);
    expect(isTrusted(policy({}, { Effect: "Deny", ...when("StringEquals", "sub", "x") }), REQUEST)).toBe(true);
    expect(isTrusted(policy({}, { Effect: "Deny", ...when("NumericEquals", "sub", "1") }), REQUEST)).toBe(false);
    expect(isTrusted(policy(), REQUEST)).toBe(false);
  });
});
