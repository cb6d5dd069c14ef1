import type { OidcIdentityProviderConfigRequest } from "@aws-sdk/client-eks";
import { invalidParameter } from "../errors.ts";
import { issuerOf } from "../names.ts";
import type { ClusterRecord, IdentityProviderRecord } from "../records.ts";

type Oidc = Pick<
  IdentityProviderRecord,
  "issuerUrl" | "clientId" | "usernameClaim" | "usernamePrefix" | "groupsClaim" | "groupsPrefix" | "requiredClaims"
>;

const RESERVED_PREFIX = "system:";
const MOST_KEY = 63;
const MOST_VALUE = 253;

/** What is asked for, as the API server could take it. @throws InvalidParameterException */
export function readOidc(cluster: ClusterRecord, { issuerUrl = "", clientId = "", ...more }: OidcIdentityProviderConfigRequest): Oidc {
  const fail = (words: string): never => {
    throw invalidParameter(words, cluster.name);
  };
  const url = URL.canParse(issuerUrl) ? new URL(issuerUrl) : undefined;
  if (url?.protocol !== "https:") fail("IssuerURL must use https:// scheme.");
  if (url?.search !== "" || url.hash !== "" || url.username !== "") fail("IssuerURL must have neither user, query nor fragment.");
  if (issuerUrl === issuerOf(cluster)) fail("IssuerURL is the cluster's own issuer, whose tokens are service accounts'.");
  for (const prefix of [more.usernamePrefix, more.groupsPrefix]) {
    if (prefix?.startsWith(RESERVED_PREFIX) === true) fail("The prefix system: is reserved for Kubernetes system use");
  }
  const requiredClaims = more.requiredClaims ?? {};
  for (const [key, value] of Object.entries(requiredClaims)) {
    if (key.length > MOST_KEY || value.length > MOST_VALUE) fail(`A required claim has at most ${MOST_KEY} characters, its value ${MOST_VALUE}.`);
  }
  const { usernameClaim = "sub", usernamePrefix, groupsClaim, groupsPrefix } = more;
  return {
    issuerUrl,
    clientId,
    usernameClaim,
    ...(usernamePrefix !== undefined && { usernamePrefix }),
    ...(groupsClaim !== undefined && { groupsClaim }),
    ...(groupsPrefix !== undefined && { groupsPrefix }),
    requiredClaims: { ...requiredClaims },
  };
}

/** As an AuthenticationConfiguration has it; with the meaning that the API server's `--oidc-…` flags have. `authorities`: PEM. Pure. */
export function jwtAuthenticator(provider: Oidc, authorities: string): unknown {
  const { issuerUrl, clientId, usernameClaim, usernamePrefix, groupsClaim, groupsPrefix = "", requiredClaims } = provider;
  const usual = usernameClaim === "email" ? "" : `${issuerUrl}#`;
  return {
    issuer: { url: issuerUrl, audiences: [clientId], certificateAuthority: authorities },
    claimMappings: {
      username: { claim: usernameClaim, prefix: usernamePrefix === "-" ? "" : (usernamePrefix ?? usual) },
      ...(groupsClaim !== undefined && { groups: { claim: groupsClaim, prefix: groupsPrefix } }),
    },
    claimValidationRules: Object.entries(requiredClaims).map(([claim, requiredValue]) => ({ claim, requiredValue })),
  };
}
