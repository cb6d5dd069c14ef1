import { fitsWildcard } from "../../../core/wildcard.ts";
import type { AssociatedPolicy } from "../records.ts";
import { policyName } from "./entry-rules.ts";
import { POLICY_RULES, type Rule } from "./policy-rules.ts";

/** What somebody wants to do, as `authorization.k8s.io/v1` has it. */
export interface AccessRequest {
  readonly resourceAttributes?: {
    readonly namespace?: string;
    readonly verb?: string;
    readonly group?: string;
    readonly resource?: string;
    readonly subresource?: string;
  };
  readonly nonResourceAttributes?: { readonly path?: string; readonly verb?: string };
}

/** Whether one of the policies allows it. They never forbid: RBAC adds to them. Pure. */
export function isAllowed(policies: readonly AssociatedPolicy[], request: AccessRequest): boolean {
  return policies.some((policy) => {
    const known = POLICY_RULES[policyName(policy.policyArn) ?? ""];
    if (known === undefined) return false;
    const { resourceAttributes: wanted } = request;
    if (wanted === undefined) return request.nonResourceAttributes !== undefined && known.allowsUrls && policy.namespaces === undefined;
    const isInScope = policy.namespaces === undefined || policy.namespaces.some((pattern) => fits(pattern, wanted.namespace ?? ""));
    return isInScope && known.rules.some((rule) => covers(rule, wanted));
  });
}

function covers({ groups, verbs, resources }: Rule, wanted: NonNullable<AccessRequest["resourceAttributes"]>): boolean {
  const { group = "", verb = "", resource = "", subresource = "" } = wanted;
  const has = (list: readonly string[], value: string): boolean => list.includes("*") || list.includes(value);
  return has(groups, group) && has(verbs, verb) && has(resources, subresource === "" ? resource : `${resource}/${subresource}`);
}

/** `*` stands for any characters; nothing fits the namespace of what has none. */
function fits(pattern: string, namespace: string): boolean {
  return namespace !== "" && fitsWildcard(pattern, namespace, { wildcards: "*" });
}
