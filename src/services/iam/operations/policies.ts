import type {
  CreatePolicyRequest,
  CreatePolicyResponse,
  DeletePolicyRequest,
  GetPolicyRequest,
  GetPolicyResponse,
  ListPoliciesRequest,
  ListPoliciesResponse,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import type { Store, Stored } from "../../../contracts/store.ts";
import { isProblem } from "../../../core/problem.ts";
import { findPolicy, listAll, operation, retryConflicts } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { checkDocument } from "../documents.ts";
import { alreadyExists, deleteConflict, noSuchPolicy } from "../errors.ts";
import { parseIamArn, policyArn, uniqueId } from "../identifiers.ts";
import { MANAGED_POLICIES } from "../managed-policies.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { namedKey, POLICIES, ROLES } from "../records.ts";
import type { PolicyRecord } from "../records.ts";
import { managedPolicyView, policyListView, policyView, tagRecords } from "../views.ts";

/** Customer-managed policies, and the AWS-managed ones by name. */
export function policyOperations({ store, ids }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreatePolicyRequest, CreatePolicyResponse>({
      name: "CreatePolicy",
      members: { PolicyName: "used", PolicyDocument: "used", Path: "used", Description: "used", Tags: "used" },
      async handle(input, { account, nowMs }) {
        checkDocument(input.PolicyDocument!, "identity");
        const path = input.Path ?? "/";
        const policy: PolicyRecord = {
          account,
          name: input.PolicyName!,
          path,
          id: uniqueId(ids, "ANPA"),
          arn: policyArn(account, path, input.PolicyName!),
          description: input.Description,
          createdAtMs: nowMs,
          updatedAtMs: nowMs,
          versions: [{ id: "v1", document: input.PolicyDocument!, createdAtMs: nowMs }],
          defaultVersionId: "v1",
          nextVersion: 2,
          tags: tagRecords(input.Tags),
        };
        try {
          await store.transact([{ op: "create", collection: POLICIES, key: namedKey(account, policy.name), value: policy }]);
        } catch (error) {
          if (isProblem(error, "already-exists"))
            throw alreadyExists(`A policy called ${policy.name} already exists. Duplicate names are not allowed.`);
          throw error;
        }
        return { Policy: policyView(policy, 0) };
      },
    }),
    operation<GetPolicyRequest, GetPolicyResponse>({
      name: "GetPolicy",
      members: { PolicyArn: "used" },
      async handle(input, { account }) {
        const count = (await attachmentCounts(store, account)).get(input.PolicyArn!) ?? 0;
        const managed = MANAGED_POLICIES.get(input.PolicyArn!);
        if (managed !== undefined) return { Policy: managedPolicyView(managed, count) };
        return { Policy: policyView((await getPolicy(store, account, input.PolicyArn!)).value, count) };
      },
    }),
    operation<ListPoliciesRequest, ListPoliciesResponse>({
      name: "ListPolicies",
      members: {
        Scope: "used",
        OnlyAttached: "used",
        PathPrefix: "used",
        PolicyUsageFilter: { refused: "permissions boundaries are not evaluated yet", unless: ["PermissionsPolicy"] },
        Marker: "used",
        MaxItems: "used",
      },
      async handle(input, { account }) {
        const counts = await attachmentCounts(store, account);
        const countOf = (arn: string): number => counts.get(arn) ?? 0;
        const own =
          input.Scope === "AWS" ? [] : (await listAll(store, POLICIES, account)).map((policy) => policyListView(policy, countOf(policy.arn)));
        const managed = input.Scope === "Local" ? [] : [...MANAGED_POLICIES.values()].map((policy) => managedPolicyView(policy, countOf(policy.arn)));
        const found = [...own, ...managed].filter(
          (policy) => (policy.Path ?? "/").startsWith(input.PathPrefix ?? "/") && (input.OnlyAttached !== true || (policy.AttachmentCount ?? 0) > 0),
        );
        const arnOf = (policy: (typeof found)[number]): string => policy.Arn ?? "";
        const { items, ...page } = pageOf(sortedBy(found, arnOf), input, arnOf);
        return { Policies: [...items], ...page };
      },
    }),
    operation<DeletePolicyRequest, void>({
      name: "DeletePolicy",
      members: { PolicyArn: "used" },
      async handle(input, { account }) {
        await retryConflicts(async () => {
          const { value: policy, key, revision } = await getPolicy(store, account, input.PolicyArn!);
          if (((await attachmentCounts(store, account)).get(policy.arn) ?? 0) > 0)
            throw deleteConflict("Cannot delete a policy attached to entities.");
          if (policy.versions.length > 1) {
            throw deleteConflict(
              "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
            );
          }
          await store.transact([{ op: "delete", collection: POLICIES, key, ifRevision: revision }]);
        });
      },
    }),
  ];
}

/** @throws AwsError NoSuchEntity. */
export async function getPolicy(store: Store, account: string, arn: string): Promise<Stored<PolicyRecord>> {
  const parsed = parseIamArn(arn);
  const found = parsed?.kind === "policy" && parsed.account === account ? await findPolicy(store, account, parsed.name) : undefined;
  if (found === undefined || found.value.arn !== arn) throw noSuchPolicy(arn);
  return found;
}

/** To how many roles each policy is attached. */
async function attachmentCounts(store: Store, account: string): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const role of await listAll(store, ROLES, account)) for (const arn of role.attachedPolicies) counts.set(arn, (counts.get(arn) ?? 0) + 1);
  return counts;
}
