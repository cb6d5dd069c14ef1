import type {
  CreateUserRequest,
  CreateUserResponse,
  DeleteUserRequest,
  GetUserRequest,
  GetUserResponse,
  ListGroupsForUserRequest,
  ListGroupsForUserResponse,
  ListUsersRequest,
  ListUsersResponse,
} from "@aws-sdk/client-iam";
import type { Operation } from "../../../contracts/service.ts";
import { isProblem } from "../../../core/problem.ts";
import { getUser, listAll, operation, retryConflicts, userNameOf } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { alreadyExists, deleteConflict } from "../errors.ts";
import { rootArn, uniqueId } from "../identifiers.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { namedKey, USERS } from "../records.ts";
import type { UserRecord } from "../records.ts";
import { tagRecords, userView } from "../views.ts";
import { keysOfUser } from "./access-keys.ts";

/** Users: names that long-lived keys belong to. */
export function userOperations({ store, ids }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreateUserRequest, CreateUserResponse>({
      name: "CreateUser",
      members: {
        UserName: "used",
        Path: "used",
        Tags: "used",
        PermissionsBoundary: { refused: "permissions boundaries are not evaluated yet" },
      },
      async handle(input, { account, nowMs }) {
        const user: UserRecord = {
          account,
          name: input.UserName!,
          path: input.Path ?? "/",
          id: uniqueId(ids, "AIDA"),
          createdAtMs: nowMs,
          tags: tagRecords(input.Tags),
        };
        try {
          await store.transact([{ op: "create", collection: USERS, key: namedKey(account, user.name), value: user }]);
        } catch (error) {
          if (isProblem(error, "already-exists")) throw alreadyExists(`User with name ${user.name} already exists.`);
          throw error;
        }
        return { User: userView(user) };
      },
    }),
    operation<GetUserRequest, GetUserResponse>({
      name: "GetUser",
      members: { UserName: "used" },
      async handle(input, { account, principal }) {
        if (input.UserName === undefined && principal.arn === rootArn(account)) {
          // AWS answers the same for the root: no name.
          return { User: { Path: "/", UserId: account, Arn: principal.arn, UserName: undefined, CreateDate: new Date(0) } };
        }
        return { User: userView((await getUser(store, account, input.UserName ?? userNameOf(principal))).value) };
      },
    }),
    operation<ListUsersRequest, ListUsersResponse>({
      name: "ListUsers",
      members: { PathPrefix: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        const users = (await listAll(store, USERS, account)).filter((user) => user.path.startsWith(input.PathPrefix ?? "/"));
        const { items, ...page } = pageOf(sortedBy(users, byName), input, byName);
        return { Users: items.map((user) => ({ ...userView(user), Tags: undefined })), ...page };
      },
    }),
    // Terraform's provider asks before it deletes a user; there are no groups.
    operation<ListGroupsForUserRequest, ListGroupsForUserResponse>({
      name: "ListGroupsForUser",
      members: { UserName: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account }) {
        await getUser(store, account, input.UserName!);
        return { Groups: [], IsTruncated: false };
      },
    }),
    operation<DeleteUserRequest, void>({
      name: "DeleteUser",
      members: { UserName: "used" },
      async handle(input, { account }) {
        await retryConflicts(async () => {
          const { value: user, key, revision } = await getUser(store, account, input.UserName!);
          if ((await keysOfUser(store, account, user.name)).length > 0) throw deleteConflict("Cannot delete entity, must delete access keys first.");
          await store.transact([{ op: "delete", collection: USERS, key, ifRevision: revision }]);
        });
      },
    }),
  ];
}

function byName(user: UserRecord): string {
  return user.name.toLowerCase();
}
