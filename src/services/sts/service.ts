import type { Service } from "../../contracts/service.ts";
import { assumeRole } from "./operations/assume-role.ts";
import { getAccessKeyInfo, getCallerIdentity, getSessionToken } from "./operations/caller.ts";
import type { SessionIssuer } from "./ports.ts";

export interface StsOptions {
  readonly issuer: SessionIssuer;
}

/** STS: who am I, and temporary credentials. */
export function createStsService({ issuer }: StsOptions): Service {
  return {
    name: "sts",
    signingName: "sts",
    apiVersion: "2011-06-15",
    xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    protocol: "awsQuery",
    loadSchemas: () => import("@aws-sdk/client-sts"),
    operations: [getCallerIdentity, assumeRole(issuer), getSessionToken(issuer), getAccessKeyInfo(issuer)],
    errorCodes: { unsupported: "ValidationError" },
  };
}
