import { describe, expect, it } from "vitest";
import { AwsError } from "../../core/aws-error.ts";
import { checkDocument, encodeDocument } from "./documents.ts";
import type { DocumentKind } from "./documents.ts";

function check(kind: DocumentKind, document: unknown): string {
  try {
    checkDocument(typeof document === "string" ? document : JSON.stringify(document), kind);
    return "ok";
  } catch (error) {
    if (!(error instanceof AwsError) || error.code !== "MalformedPolicyDocument") throw error;
    return error.message;
  }
}

const trust = (statement: object): object => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ecs.amazonaws.com" }, Action: "sts:AssumeRole", ...statement }],
});
const identity = (statement: object): object => ({
  Version: "2012-10-17",
  Statement: { Effect: "Allow", Action: ["s3:Get*", "*"], Resource: "*", ...statement },
});

describe("policy documents", () => {
  it.each<[DocumentKind, unknown, string]>([
    ["trust", trust({}), "ok"],
    [
      "trust",
      trust({ Principal: { AWS: ["arn:aws:iam::111122223333:root", "111122223333"] }, Action: ["sts:AssumeRole", "sts:TagSession"], Condition: {} }),
      "ok",
    ],
    ["trust", trust({ Principal: "*" }), "ok"],
    ["trust", trust({ Principal: undefined }), "Missing required field Principal"],
    ["trust", trust({ Principal: { Nobody: "x" } }), 'Invalid principal in policy: "Nobody":"x"'],
    ["trust", trust({ Resource: "*" }), "Has prohibited field Resource"],
    ["trust", trust({ Action: "s3:GetObject" }), "AssumeRole policy may only specify STS AssumeRole actions."],
    ["trust", trust({ Effect: undefined }), "Missing required field Effect"],
    ["identity", identity({}), "ok"],
    ["identity", identity({ Principal: "*" }), "Policy document should not specify a principal."],
    ["identity", identity({ Action: undefined }), "Policy statement must contain actions."],
    ["identity", identity({ Resource: [] }), "Policy statement must contain resources."],
    ["identity", identity({ Action: "GetObject" }), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."],
    ["identity", identity({ Effect: "Maybe" }), 'Invalid effect: "Maybe"'],
    ["identity", { Version: "2012-10-17", Statement: [] }, "Syntax errors in policy: it has no statement."],
    ["identity", { ...identity({}), Version: "2020-01-01" }, "The policy must contain a valid version string."],
    ["identity", "[]", "Syntax errors in policy."],
    ["identity", "nonsense", "This policy contains invalid Json"],
  ])("%s %j", (kind, document, answer) => {
    expect(check(kind, document)).toBe(answer);
  });

  it("are escaped as RFC 3986 asks", () => {
    expect(encodeDocument(`{"a":"!'()* é"}`)).toBe("%7B%22a%22%3A%22%21%27%28%29%2A%20%C3%A9%22%7D");
  });
});
