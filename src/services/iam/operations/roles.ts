import type {
  CreateRoleRequest,
  CreateRoleResponse,
  DeleteRoleRequest,
  GetRoleRequest,
  GetRoleResponse,
  ListRolesRequest,
  ListRolesResponse,
  UpdateAssumeRolePolicyRequest,
  UpdateRoleDescriptionRequest,
  UpdateRoleDescriptionResponse,
  UpdateRoleRequest,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { getRole, listAll, operation, retryConflicts, updateRole } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { checkDocument } from "../documents.ts";
import { alreadyExists, deleteConflict, unmodifiable } from "../errors.ts";
import { uniqueId } from "../identifiers.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { namedKey, ROLES } from "../records.ts";
import type { RoleRecord } from "../records.ts";
import { roleListView, roleView, tagRecords } from "../views.ts";

const DEFAULT_SESSION_SECONDS = 3600;

/** The roles themselves. */
export function roleOperations({ store, ids }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreateRoleRequest, CreateRoleResponse>({
      name: "CreateRole",
      members: {
        RoleName: "used",
        AssumeRolePolicyDocument: "used",
        Path: "used",
        Description: "used",
        MaxSessionDuration: "used",
        Tags: "used",
        PermissionsBoundary: { refused: "permissions boundaries are not evaluated yet" },
      },
      async handle(input, { account, nowMs }) {
        checkDocument(input.AssumeRolePolicyDocument!, "trust");
        const role: RoleRecord = {
          account,
          name: input.RoleName!,
          path: input.Path ?? "/",
          id: uniqueId(ids, "AROA"),
          createdAtMs: nowMs,
          trustPolicy: input.AssumeRolePolicyDocument!,
          description: input.Description,
          maxSessionSeconds: input.MaxSessionDuration ?? DEFAULT_SESSION_SECONDS,
          tags: tagRecords(input.Tags),
          inlinePolicies: {},
          attachedPolicies: [],
        };
        try {
          await store.transact([{ op: "create", collection: ROLES, key: namedKey(account, role.name), value: role }]);
        } catch (error) {
          if (isProblem(error, "already-exists")) throw alreadyExists(`Role with name ${role.name} already exists.`);
          throw error;
        }
        const { RoleLastUsed: _, ...Role } = roleView(role);
        return { Role };
      },
    }),
    operation<GetRoleRequest, GetRoleResponse>({
      name: "GetRole",
      members: { RoleName: "used" },
      handle: async (input, { account }) => ({ Role: roleView((await getRole(store, account, input.RoleName!)).value) }),
    }),
    operation<ListRolesRequest, ListRolesResponse>({
      name: "ListRoles",
      members: { PathPrefix: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const roles = (await listAll(store, ROLES, account)).filter((role) => role.path.startsWith(input.PathPrefix ?? "/"));
        const { items, ...page } = pageOf(sortedBy(roles, byName), input, byName);
        return { Roles: items.map(roleListView), ...page };
      },
    }),
    operation<UpdateRoleRequest, object>({
      name: "UpdateRole",
      members: { RoleName: "used", Description: "used", MaxSessionDuration: "used" },
      async handle(input, { account }) {
        await updateRole(store, account, input.RoleName!, (role) => ({
          role: {
            ...role,
            description: input.Description ?? role.description,
            maxSessionSeconds: input.MaxSessionDuration ?? role.maxSessionSeconds,
          },
        }));
        return {};
      },
    }),
    operation<UpdateRoleDescriptionRequest, UpdateRoleDescriptionResponse>({
      name: "UpdateRoleDescription",
      members: { RoleName: "used", Description: "used" },
      handle: async (input, { account }) => ({
        Role: roleView(await updateRole(store, account, input.RoleName!, (role) => ({ role: { ...role, description: input.Description } }))),
      }),
    }),
    operation<UpdateAssumeRolePolicyRequest, void>({
      name: "UpdateAssumeRolePolicy",
      members: { RoleName: "used", PolicyDocument: "used" },
      async handle(input, { account }) {
        checkDocument(input.PolicyDocument!, "trust");
        await updateRole(store, account, input.RoleName!, (role) => ({ role: { ...role, trustPolicy: input.PolicyDocument! } }));
      },
    }),
    deleteRole({ store }),
  ];
}

function deleteRole({ store }: Pick<IamRoom, "store">): Operation<DeleteRoleRequest, void> {
  return {
    name: "DeleteRole",
    members: { RoleName: "used" },
    async handle(input, { account }) {
      await retryConflicts(async () => {
        const { value: role, key, revision } = await getRole(store, account, input.RoleName!);
        if (role.linkedService !== undefined) throw unmodifiable(role.name);
        if (role.attachedPolicies.length > 0) throw deleteConflict("Cannot delete entity, must detach all policies first.");
        if (Object.keys(role.inlinePolicies).length > 0) throw deleteConflict("Cannot delete entity, must delete policies first.");
        await store.transact([{ op: "delete", collection: ROLES, key, ifRevision: revision }]);
      });
    },
  };
}

/** The order of lists, and of their markers. */
function byName(role: RoleRecord): string {
  return role.name.toLowerCase();
}
