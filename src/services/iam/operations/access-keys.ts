import type {
  CreateAccessKeyRequest,
  CreateAccessKeyResponse,
  DeleteAccessKeyRequest,
  ListAccessKeysRequest,
  ListAccessKeysResponse,
  UpdateAccessKeyRequest,
} from "@aws-sdk/client-iam";
import type { Operation, Principal } from "../../../contracts/service.ts";
import type { Store, Stored } from "../../../contracts/store.ts";
import { getUser, operation, retryConflicts, userNameOf } from "../access.ts";
import type { IamRoom } from "../access.ts";
import { limitExceeded, noSuchEntity } from "../errors.ts";
import { accessKeyId, rootArn, secretAccessKey, userArn } from "../identifiers.ts";
import { pageOf, sortedBy } from "../paging.ts";
import { ACCESS_KEYS, USERS } from "../records.ts";
import type { AccessKeyRecord } from "../records.ts";
import { accessKeyView } from "../views.ts";

const MAX_KEYS_PER_USER = 2;

/** Long-lived keys of users and of the account's root (no user name). */
export function accessKeyOperations({ store, ids }: IamRoom): readonly Operation<never>[] {
  return [
    operation<CreateAccessKeyRequest, CreateAccessKeyResponse>({
      name: "CreateAccessKey",
      members: { UserName: "used" },
      async handle(input, { account, principal, nowMs }) {
        const userName = ownerOf(input.UserName, account, principal);
        const key = await retryConflicts(async () => {
          const user = userName === undefined ? undefined : await getUser(store, account, userName);
          if ((await keysOfUser(store, account, user?.value.name)).length >= MAX_KEYS_PER_USER) {
            throw limitExceeded("AccessKeysPerUser", MAX_KEYS_PER_USER);
          }
          const made: AccessKeyRecord = {
            accessKeyId: accessKeyId(ids, "AKIA", account),
            secretAccessKey: secretAccessKey(ids),
            account,
            ...(user !== undefined && { userName: user.value.name }),
            principalArn: user === undefined ? rootArn(account) : userArn(user.value),
            userId: user?.value.id ?? account,
            status: "Active",
            createdAtMs: nowMs,
          };
          await store.transact([
            { op: "create", collection: ACCESS_KEYS, key: made.accessKeyId, value: made },
            // Touches the user, so that two keys made at once are counted, and a user deleted meanwhile is noticed.
            ...(user === undefined
              ? []
              : [{ op: "update" as const, collection: USERS, key: user.key, value: user.value, ifRevision: user.revision }]),
          ]);
          return made;
        });
        return {
          AccessKey: {
            UserName: key.userName,
            AccessKeyId: key.accessKeyId,
            Status: key.status,
            SecretAccessKey: key.secretAccessKey,
            CreateDate: new Date(key.createdAtMs),
          },
        };
      },
    }),
    operation<ListAccessKeysRequest, ListAccessKeysResponse>({
      name: "ListAccessKeys",
      members: { UserName: "used", Marker: "used", MaxItems: "used" },
      async handle(input, { account, principal }) {
        const userName = ownerOf(input.UserName, account, principal);
        const user = userName === undefined ? undefined : await getUser(store, account, userName);
        const keys = (await keysOfUser(store, account, user?.value.name)).map(({ value }) => value);
        const { items, ...page } = pageOf(sortedBy(keys, byId), input, byId);
        return { AccessKeyMetadata: items.map(accessKeyView), ...page };
      },
    }),
    operation<UpdateAccessKeyRequest, void>({
      name: "UpdateAccessKey",
      members: { UserName: "used", AccessKeyId: "used", Status: "used" },
      async handle(input, { account, principal }) {
        await retryConflicts(async () => {
          const found = await getKey(store, account, ownerOf(input.UserName, account, principal), input.AccessKeyId!);
          const status = input.Status === "Active" ? "Active" : "Inactive";
          await store.transact([
            { op: "update", collection: ACCESS_KEYS, key: found.key, value: { ...found.value, status }, ifRevision: found.revision },
          ]);
        });
      },
    }),
    operation<DeleteAccessKeyRequest, void>({
      name: "DeleteAccessKey",
      members: { UserName: "used", AccessKeyId: "used" },
      async handle(input, { account, principal }) {
        await retryConflicts(async () => {
          const found = await getKey(store, account, ownerOf(input.UserName, account, principal), input.AccessKeyId!);
          await store.transact([{ op: "delete", collection: ACCESS_KEYS, key: found.key, ifRevision: found.revision }]);
        });
      },
    }),
  ];
}

/** Whose keys a request is about; `undefined`: the root's. */
function ownerOf(userName: string | undefined, account: string, principal: Principal): string | undefined {
  if (userName !== undefined) return userName;
  return principal.arn === rootArn(account) ? undefined : userNameOf(principal);
}

async function getKey(store: Store, account: string, userName: string | undefined, id: string): Promise<Stored<AccessKeyRecord>> {
  const found = await store.get(ACCESS_KEYS, id);
  const isOwners = found?.value.account === account && found.value.userName?.toLowerCase() === userName?.toLowerCase();
  if (found === undefined || !isOwners) throw noSuchEntity(`The Access Key with id ${id} cannot be found.`);
  return found;
}

/** The keys of a user, or of the root. */
export async function keysOfUser(store: Store, account: string, userName: string | undefined): Promise<readonly Stored<AccessKeyRecord>[]> {
  const wanted = userName?.toLowerCase();
  return (await store.list(ACCESS_KEYS)).filter(({ value }) => value.account === account && value.userName?.toLowerCase() === wanted);
}

function byId(key: AccessKeyRecord): string {
  return key.accessKeyId;
}
