import type { Service } from "../../contracts/service.ts";
import { assumeRole } from "./operations/assume-role.ts";
import { assumeRoleWithWebIdentity } from "./operations/assume-role-with-web-identity.ts";
import { getAccessKeyInfo, getCallerIdentity, getSessionToken } from "./operations/caller.ts";
import type { StsOptions } from "./ports.ts";

/** STS: who am I, and temporary credentials. */
export function createStsService(options: StsOptions): Service {
  const { issuer } = options;
  return {
    name: "sts",
    signingName: "sts",
    apiVersion: "2011-06-15",
    xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    protocol: "awsQuery",
    loadSchemas: () => import("@aws-sdk/client-sts"),
    operations: [getCallerIdentity, assumeRole(issuer), assumeRoleWithWebIdentity(options), getSessionToken(issuer), getAccessKeyInfo(issuer)],
    errorCodes: { unsupported: "ValidationError" },
  };
}
