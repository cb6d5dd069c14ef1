import type {
  AssociateAccessPolicyRequest,
  AssociateAccessPolicyResponse,
  AssociatedAccessPolicy,
  DisassociateAccessPolicyRequest,
  DisassociateAccessPolicyResponse,
  ListAccessPoliciesRequest,
  ListAccessPoliciesResponse,
  ListAssociatedAccessPoliciesRequest,
  ListAssociatedAccessPoliciesResponse,
} from "@aws-sdk/client-eks";
import { requireEntry } from "../access/entries.ts";
import { accessPolicies, checkPolicy, readScope } from "../access/entry-rules.ts";
import { resourceNotFound } from "../errors.ts";
import { pageOf } from "../paging.ts";
import { ACCESS_ENTRIES, type AssociatedPolicy } from "../records.ts";
import { changeRecord, type EksRoom, operation, requireCluster } from "../room.ts";

function policyView({ policyArn, namespaces, associatedAtMs, modifiedAtMs }: AssociatedPolicy): AssociatedAccessPolicy {
  return {
    policyArn,
    accessScope: { type: namespaces === undefined ? "cluster" : "namespace", namespaces: [...(namespaces ?? [])] },
    associatedAt: new Date(associatedAtMs),
    modifiedAt: new Date(modifiedAtMs),
  };
}

/** Again for the same policy: the scope is replaced. @throws InvalidParameterException, ResourceNotFoundException */
export function associateAccessPolicy(room: EksRoom) {
  return operation<AssociateAccessPolicyRequest, AssociateAccessPolicyResponse>({
    name: "AssociateAccessPolicy",
    members: { clusterName: "used", principalArn: "used", policyArn: "used", accessScope: "used" },
    async handle({ clusterName = "", principalArn = "", policyArn = "", accessScope }, context) {
      checkPolicy(policyArn, clusterName);
      const namespaces = readScope(accessScope);
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { policies } = await changeRecord(room, ACCESS_ENTRIES, {
        find: () => requireEntry(room.store, cluster, principalArn),
        change(entry) {
          const before = entry.policies.find((policy) => policy.policyArn === policyArn);
          const times = { associatedAtMs: before?.associatedAtMs ?? context.nowMs, modifiedAtMs: context.nowMs };
          const made: AssociatedPolicy = { policyArn, ...(namespaces !== undefined && { namespaces }), ...times };
          return { ...entry, policies: [...entry.policies.filter((policy) => policy !== before), made] };
        },
      });
      return { clusterName, principalArn, associatedAccessPolicy: policies.map(policyView).find((policy) => policy.policyArn === policyArn) };
    },
  });
}

export function disassociateAccessPolicy(room: EksRoom) {
  return operation<DisassociateAccessPolicyRequest, DisassociateAccessPolicyResponse>({
    name: "DisassociateAccessPolicy",
    members: { clusterName: "used", principalArn: "used", policyArn: "used" },
    async handle({ clusterName = "", principalArn = "", policyArn = "" }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      await changeRecord(room, ACCESS_ENTRIES, {
        find: () => requireEntry(room.store, cluster, principalArn),
        change(entry) {
          const policies = entry.policies.filter((policy) => policy.policyArn !== policyArn);
          if (policies.length === entry.policies.length) throw resourceNotFound("The specified policyArn could not be found.", clusterName);
          return { ...entry, policies };
        },
      });
      return {};
    },
  });
}

export function listAssociatedAccessPolicies(room: EksRoom) {
  return operation<ListAssociatedAccessPoliciesRequest, ListAssociatedAccessPoliciesResponse>({
    name: "ListAssociatedAccessPolicies",
    members: { clusterName: "used", principalArn: "used", maxResults: "used", nextToken: "used" },
    async handle({ clusterName = "", principalArn = "", ...page }, context) {
      const { value: cluster } = await requireCluster(room, context, clusterName);
      const { value: entry } = await requireEntry(room.store, cluster, principalArn);
      const { items, nextToken } = pageOf(entry.policies, ({ policyArn }) => policyArn, page);
      return { clusterName, principalArn, associatedAccessPolicies: items.map(policyView), ...(nextToken !== undefined && { nextToken }) };
    },
  });
}

/** Those that say something about users; AWS's controllers' own are not among them. */
export const listAccessPolicies = operation<ListAccessPoliciesRequest, ListAccessPoliciesResponse>({
  name: "ListAccessPolicies",
  members: { maxResults: "used", nextToken: "used" },
  async handle(page) {
    const { items, nextToken } = pageOf(accessPolicies(), ({ arn }) => arn, page);
    return { accessPolicies: [...items], ...(nextToken !== undefined && { nextToken }) };
  },
});
