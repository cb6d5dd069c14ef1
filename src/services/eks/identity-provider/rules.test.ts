import { describe, expect, it } from "vitest";
import { issuerOf } from "../names.ts";
import { testCluster } from "../testing.ts";
import { jwtAuthenticator, readOidc } from "./rules.ts";

const cluster = testCluster();
const asked = { identityProviderConfigName: "idp", issuerUrl: "https://idp.example.com", clientId: "kubectl" };

describe("an identity provider of a cluster", () => {
  it.each([
    [{ issuerUrl: "http://idp.example.com" }, "IssuerURL must use https:// scheme."],
    [{ issuerUrl: "nonsense" }, "IssuerURL must use https:// scheme."],
    [{ issuerUrl: "https://idp.example.com?x" }, "neither user, query nor fragment"],
    [{ issuerUrl: issuerOf(cluster) }, "the cluster's own issuer"],
    [{ usernamePrefix: "system:x" }, "The prefix system: is reserved for Kubernetes system use"],
    [{ groupsPrefix: "system:" }, "The prefix system: is reserved for Kubernetes system use"],
    [{ requiredClaims: { ["a".repeat(64)]: "b" } }, "at most 63 characters"],
  ])("is refused with %j", (more, words) => {
    expect(() => readOidc(cluster, { ...asked, ...more })).toThrow(words);
  });

  it.each([
    [{}, { claim: "sub", prefix: "https://idp.example.com#" }],
    [{ usernameClaim: "email" }, { claim: "email", prefix: "" }],
    [
      { usernameClaim: "name", usernamePrefix: "-" },
      { claim: "name", prefix: "" },
    ],
    [{ usernamePrefix: "oidc:" }, { claim: "sub", prefix: "oidc:" }],
  ])("names its users, with %j, by %j", (more, username) => {
    expect(jwtAuthenticator(readOidc(cluster, { ...asked, ...more }), "PEM")).toMatchObject({ claimMappings: { username } });
  });

  it("has audience, groups and claims that must be there", () => {
    const provider = readOidc(cluster, { ...asked, groupsClaim: "groups", groupsPrefix: "oidc:", requiredClaims: { team: "shop" } });
    expect(jwtAuthenticator(provider, "PEM")).toEqual({
      issuer: { url: "https://idp.example.com", audiences: ["kubectl"], certificateAuthority: "PEM" },
      claimMappings: { username: { claim: "sub", prefix: "https://idp.example.com#" }, groups: { claim: "groups", prefix: "oidc:" } },
      claimValidationRules: [{ claim: "team", requiredValue: "shop" }],
    });
  });
});
