import type {
  AttachRolePolicyRequest,
  DeleteRolePolicyRequest,
  DetachRolePolicyRequest,
  GetRolePolicyRequest,
  GetRolePolicyResponse,
  ListAttachedRolePoliciesRequest,
  ListAttachedRolePoliciesResponse,
  ListRolePoliciesRequest,
  ListRolePoliciesResponse,
  PutRolePolicyRequest,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import type { Store, Write } from "../../../contracts/store.ts";
import { findPolicy, getRole, operation, updateRole } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { checkDocument, encodeDocument } from "../documents.ts";
import { limitExceeded, noSuchEntity } from "../errors.ts";
import { parseIamArn } from "../identifiers.ts";
import { MANAGED_POLICIES } from "../managed-policies.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { POLICIES } from "../records.ts";

const MAX_ATTACHED = 20;
const MAX_INLINE_CHARACTERS = 10_240;

/** Policies in roles, and policies attached to them. */
export function rolePolicyOperations({ store }: IamRoom): readonly Operation<never>[] {
  return [...inlineOperations(store), ...attachOperations(store)];
}

function inlineOperations(store: Store): readonly Operation<never>[] {
  return [
    operation<PutRolePolicyRequest, void>({
      name: "PutRolePolicy",
      members: { RoleName: "used", PolicyName: "used", PolicyDocument: "used" },
      async handle(input, { account }) {
        checkDocument(input.PolicyDocument!, "identity");
        await updateRole(store, account, input.RoleName!, (role) => {
          const inlinePolicies = { ...role.inlinePolicies, [input.PolicyName!]: input.PolicyDocument! };
          const size = Object.values(inlinePolicies).reduce((sum, document) => sum + document.replace(/\s/g, "").length, 0);
          if (size > MAX_INLINE_CHARACTERS) throw limitExceeded("MaxRolePolicySizeBytes", MAX_INLINE_CHARACTERS);
          return { role: { ...role, inlinePolicies } };
        });
      },
    }),
    operation<GetRolePolicyRequest, GetRolePolicyResponse>({
      name: "GetRolePolicy",
      members: { RoleName: "used", PolicyName: "used" },
      async handle(input, { account }) {
        const { value: role } = await getRole(store, account, input.RoleName!);
        const document = role.inlinePolicies[input.PolicyName!];
        if (document === undefined) throw noSuchInline(input.PolicyName!);
        return { RoleName: role.name, PolicyName: input.PolicyName!, PolicyDocument: encodeDocument(document) };
      },
    }),
    operation<ListRolePoliciesRequest, ListRolePoliciesResponse>({
      name: "ListRolePolicies",
      members: { RoleName: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const { value: role } = await getRole(store, account, input.RoleName!);
        const { items, ...page } = pageOf(Object.keys(role.inlinePolicies).sort(), input, (name) => name);
        return { PolicyNames: [...items], ...page };
      },
    }),
    operation<DeleteRolePolicyRequest, void>({
      name: "DeleteRolePolicy",
      members: { RoleName: "used", PolicyName: "used" },
      async handle(input, { account }) {
        await updateRole(store, account, input.RoleName!, (role) => {
          const { [input.PolicyName!]: gone, ...inlinePolicies } = role.inlinePolicies;
          if (gone === undefined) throw noSuchInline(input.PolicyName!);
          return { role: { ...role, inlinePolicies } };
        });
      },
    }),
  ];
}

function attachOperations(store: Store): readonly Operation<never>[] {
  return [
    operation<AttachRolePolicyRequest, void>({
      name: "AttachRolePolicy",
      members: { RoleName: "used", PolicyArn: "used" },
      async handle(input, { account }) {
        await updateRole(store, account, input.RoleName!, async (role) => {
          if (role.attachedPolicies.includes(input.PolicyArn!)) return { role };
          if (role.attachedPolicies.length >= MAX_ATTACHED) throw limitExceeded("PoliciesPerRole", MAX_ATTACHED);
          const also = await holdPolicy(store, account, input.PolicyArn!);
          return { role: { ...role, attachedPolicies: [...role.attachedPolicies, input.PolicyArn!] }, also };
        });
      },
    }),
    operation<DetachRolePolicyRequest, void>({
      name: "DetachRolePolicy",
      members: { RoleName: "used", PolicyArn: "used" },
      async handle(input, { account }) {
        await updateRole(store, account, input.RoleName!, (role) => {
          if (!role.attachedPolicies.includes(input.PolicyArn!)) throw noSuchEntity(`Policy ${input.PolicyArn} was not found.`);
          return { role: { ...role, attachedPolicies: role.attachedPolicies.filter((arn) => arn !== input.PolicyArn) } };
        });
      },
    }),
    operation<ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResponse>({
      name: "ListAttachedRolePolicies",
      members: { RoleName: "used", PathPrefix: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const { value: role } = await getRole(store, account, input.RoleName!);
        const under = role.attachedPolicies.filter((arn) => (parseIamArn(arn)?.path ?? "/").startsWith(input.PathPrefix ?? "/"));
        const { items, ...page } = pageOf(
          sortedBy(under, (arn) => arn),
          input,
          (arn) => arn,
        );
        return { AttachedPolicies: items.map((arn) => ({ PolicyArn: arn, PolicyName: parseIamArn(arn)?.name })), ...page };
      },
    }),
  ];
}

function noSuchInline(name: string): Error {
  return noSuchEntity(`The role policy with name ${name} cannot be found.`);
}

/** Answers the writes that keep the policy from being deleted in the meantime. @throws AwsError NoSuchEntity when there is none. */
async function holdPolicy(store: Store, account: string, arn: string): Promise<readonly Write[]> {
  if (MANAGED_POLICIES.has(arn)) return [];
  const parsed = parseIamArn(arn);
  const found = parsed?.kind === "policy" && parsed.account === account ? await findPolicy(store, account, parsed.name) : undefined;
  if (found === undefined || found.value.arn !== arn) throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`);
  return [{ op: "update", collection: POLICIES, key: found.key, value: found.value, ifRevision: found.revision }];
}
