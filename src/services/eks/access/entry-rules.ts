import { parseArn } from "../../../core/arn.ts";
import { invalidParameter, resourceNotFound } from "../errors.ts";
import type { EksPorts } from "../ports.ts";
import { POLICY_RULES } from "./policy-rules.ts";

const RESERVED_NAMES = ["system:", "eks:", "aws:", "amazon:", "iam:"];
const POLICY_PREFIX = "arn:aws:eks::aws:cluster-access-policy/";

export const ADMINISTRATOR_POLICY = `${POLICY_PREFIX}AmazonEKSClusterAdminPolicy`;

/** The policies that can be associated. */
export function accessPolicies(): readonly { readonly name: string; readonly arn: string }[] {
  return Object.keys(POLICY_RULES).map((name) => ({ name, arn: `${POLICY_PREFIX}${name}` }));
}

/** The name of a policy by its ARN; `undefined` for one that there is not. */
export function policyName(arn: string): string | undefined {
  const name = arn.startsWith(POLICY_PREFIX) ? arn.slice(POLICY_PREFIX.length) : "";
  return Object.hasOwn(POLICY_RULES, name) ? name : undefined;
}

/** @throws InvalidParameterException, ResourceNotFoundException */
export function checkPolicy(policyArn: string, clusterName: string): void {
  if (!/^arn:aws[a-z-]*:eks::aws:cluster-access-policy\/[\w-]+$/.test(policyArn)) {
    throw invalidParameter("The policyArn parameter format is not valid", clusterName);
  }
  if (policyName(policyArn) === undefined) throw resourceNotFound("The specified policyArn could not be found.", clusterName);
}

/**
 * A user or a role; a role must exist.
 * Differs: that a user exists, and that it is the same who had the name before, is not checked.
 * @throws InvalidParameterException
 */
export async function checkPrincipal(roles: EksPorts["roles"], principalArn: string): Promise<void> {
  const arn = parseArn(principalArn);
  const isPrincipal = arn?.service === "iam" && /^(?:user|role)\/[\w+=,.@/-]+$/.test(arn.resource);
  if (!isPrincipal) throw invalidParameter("The specified principalArn is invalid: invalid principal.");
  if (arn.resource.startsWith("role/aws-service-role/")) {
    throw invalidParameter("The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role");
  }
  if (arn.resource.startsWith("role/") && !(await roles.exists(principalArn))) {
    throw invalidParameter("The specified principalArn is invalid: invalid principal.");
  }
}

/** @throws InvalidParameterException */
export function readGroups(groups: readonly string[] | undefined): readonly string[] {
  const reserved = groups?.find((group) => group.startsWith("system:"));
  if (reserved !== undefined) throw invalidParameter(`The kubernetes group name ${reserved} is invalid, it cannot start with system:`);
  return [...new Set(groups)];
}

/** As given, else a user's ARN, or a role's session. @throws InvalidParameterException */
export function readUsername(username: string | undefined, principalArn: string): string {
  if (username === undefined || username === "") return defaultUsername(principalArn);
  const reserved = RESERVED_NAMES.find((prefix) => username.startsWith(prefix));
  if (reserved !== undefined) throw invalidParameter(`The username must not begin with ${reserved}`);
  const session = username.indexOf("{{SessionName}}");
  if (session > 0 ? !username.slice(0, session).includes(":") : session === 0) {
    throw invalidParameter("The username must have a : before {{SessionName}}");
  }
  return username;
}

export function defaultUsername(principalArn: string): string {
  const [, partition, account, role] = /^arn:([^:]+):iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(principalArn) ?? [];
  return role === undefined ? principalArn : `arn:${partition}:sts::${account}:assumed-role/${role}/{{SessionName}}`;
}

/** The namespaces of a scope; `undefined` for the whole cluster. @throws InvalidParameterException */
export function readScope(
  scope: { readonly type?: string | undefined; readonly namespaces?: readonly string[] | undefined } | undefined,
): readonly string[] | undefined {
  const namespaces = scope?.namespaces ?? [];
  if (scope?.type !== "namespace") {
    if (namespaces.length > 0) throw invalidParameter("accessScope should not include namespaces if the type is not set as namespace");
    return undefined;
  }
  if (namespaces.length === 0) throw invalidParameter("At least 1 namespace must be provided if the type is set as namespace");
  const wrong = namespaces.find((namespace) => !/^[a-z0-9*](?:[-a-z0-9*]{0,61}[a-z0-9*])?$/.test(namespace));
  if (wrong !== undefined) throw invalidParameter(`The namespace ${wrong} of the accessScope is invalid`);
  return [...new Set(namespaces)];
}
