import type { Service } from "../../contracts/service.ts";
import type { IamRoom } from "./access.ts";
import { accessKeyOperations } from "./operations/access-keys.ts";
import { oidcProviderOperations } from "./operations/oidc-providers.ts";
import { policyVersionOperations } from "./operations/policy-versions.ts";
import { policyOperations } from "./operations/policies.ts";
import { rolePolicyOperations } from "./operations/role-policies.ts";
import { roleTagOperations } from "./operations/role-tags.ts";
import { roleOperations } from "./operations/roles.ts";
import { serviceLinkedRoleOperations } from "./operations/service-linked-roles.ts";
import { userOperations } from "./operations/users.ts";
import { createSessionSweep } from "./session-sweep.ts";

/**
 * IAM: roles with their policies, managed policies, users and their keys. Global: the region of a request does not matter.
 *
 * Differs: policies are kept and checked for form, and not evaluated yet; a valid key may do all. Trust policies are, for web identities and services of AWS.
 */
export function createIamService(room: IamRoom): Service {
  return {
    name: "iam",
    signingName: "iam",
    apiVersion: "2010-05-08",
    xmlNamespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    protocol: "awsQuery",
    loadSchemas: () => import("@aws-sdk/client-iam"),
    operations: [
      ...roleOperations(room),
      ...rolePolicyOperations(room),
      ...roleTagOperations(room),
      ...policyOperations(room),
      ...policyVersionOperations(room),
      ...userOperations(room),
      ...accessKeyOperations(room),
      ...serviceLinkedRoleOperations(room),
      ...oidcProviderOperations(room),
    ],
    controllers: [createSessionSweep(room)],
    errorCodes: { unsupported: "InvalidInput" },
  };
}
