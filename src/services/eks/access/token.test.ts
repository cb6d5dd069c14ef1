import { describe, expect, it } from "vitest";
import { readToken } from "./token.ts";

const SIGNED_AT_MS = Date.UTC(2026, 0, 1, 12);
const CONTEXT = { clusterName: "shop", region: "us-east-1", ownHosts: ["localhost:4566"], nowMs: SIGNED_AT_MS + 60_000 };
const PARAMETERS = {
  Action: "GetCallerIdentity",
  Version: "2011-06-15",
  "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
  "X-Amz-Credential": "AKIA/20260101/us-east-1/sts/aws4_request",
  "X-Amz-Date": "20260101T120000Z",
  "X-Amz-Expires": "60",
  "X-Amz-SignedHeaders": "host;x-k8s-aws-id",
  "X-Amz-Signature": "ab",
};

function tokenOf(start: string, more: Readonly<Record<string, string>> = {}, end = ""): string {
  const url = `${start}?${new URLSearchParams({ ...PARAMETERS, ...more }).toString()}${end}`;
  return `k8s-aws-v1.${Buffer.from(url).toString("base64url")}`;
}

const STS = "https://sts.us-east-1.amazonaws.com/";

describe("a token of aws eks get-token", () => {
  it.each([
    STS,
    "https://sts.amazonaws.com/",
    "https://sts.eu-west-3.amazonaws.com/",
    "https://sts-fips.us-east-1.amazonaws.com/",
    "https://sts.us-east-1.api.aws/",
    "http://localhost:4566/",
  ])("is taken from %s, and bound to the cluster", (start) => {
    const read = readToken(tokenOf(start), CONTEXT);
    expect(read).toMatchObject({ get: { host: new URL(start).host, headers: { "x-k8s-aws-id": "shop" }, signedAtMs: SIGNED_AT_MS } });
  });

  it("is good for a quarter of an hour, whatever its URL says", () => {
    const at = (minutes: number): object => readToken(tokenOf(STS), { ...CONTEXT, nowMs: SIGNED_AT_MS + minutes * 60_000 });
    expect(at(14)).toHaveProperty("get");
    expect(at(15.1)).toEqual({ fault: "token is expired" });
    expect(at(-14)).toHaveProperty("get");
    expect(at(-16)).toHaveProperty("fault", expect.stringContaining("not valid yet"));
  });

  it.each([
    ["another prefix", `v1.${tokenOf(STS).slice(11)}`, "prefix"],
    ["no base64url", "k8s-aws-v1.a+b", "base64url"],
    ["no URL", `k8s-aws-v1.${Buffer.from("nonsense").toString("base64url")}`, "no URL"],
    ["too much of it", `${tokenOf(STS)}${"A".repeat(5000)}`, "too large"],
    ["a foreign host", tokenOf("https://sts.evil.example/"), "unexpected host"],
    ["a host that only begins like one", tokenOf("https://sts.us-east-1.amazonaws.com.evil.example/"), "unexpected host"],
    ["another partition", tokenOf("https://sts.cn-north-1.amazonaws.com.cn/"), "unexpected host"],
    ["STS in the clear", tokenOf("http://sts.us-east-1.amazonaws.com/"), "unexpected host"],
    ["an own host's other port", tokenOf("http://localhost:4567/"), "unexpected host"],
    ["a user in the URL", tokenOf("https://a:b@sts.us-east-1.amazonaws.com/"), "unexpected path"],
    ["a path", tokenOf(`${STS}x`), "unexpected path"],
    ["another action", tokenOf(STS, { Action: "AssumeRole" }), "action"],
    ["a parameter beyond", tokenOf(STS, { RoleArn: "x" }), "RoleArn"],
    ["a parameter twice", tokenOf(STS, {}, "&x-amz-date=20260101T120000Z"), "twice"],
    ["the cluster's header unsigned", tokenOf(STS, { "X-Amz-SignedHeaders": "host" }), "x-k8s-aws-id"],
    ["a long expiry", tokenOf(STS, { "X-Amz-Expires": "901" }), "X-Amz-Expires"],
    ["no date", tokenOf(STS, { "X-Amz-Date": "now" }), "X-Amz-Date"],
  ])("is refused with %s", (_what, token, words) => {
    expect(readToken(token, CONTEXT)).toHaveProperty("fault", expect.stringContaining(words));
  });
});
