import type { Collection, Store, Stored, Write } from "../../contracts/store.ts";
import type { Operation, Principal, Toolbox } from "../../contracts/service.ts";
import { isProblem } from "../../core/problem.ts";
import { noSuchRole, noSuchUser, unmodifiable, validationError } from "./errors.ts";
import { parseIamArn } from "./identifiers.ts";
import { namedKey, POLICIES, ROLES, USERS } from "./records.ts";
import type { PolicyRecord, RoleRecord, UserRecord } from "./records.ts";

/** What IAM's operations are handed. */
export interface IamRoom extends Pick<Toolbox, "clock" | "ids"> {
  readonly store: Store;
}

/** Names an operation's types once. */
export function operation<Input, Output>(made: Operation<Input, Output>): Operation<Input, Output> {
  return made;
}

export async function getRole(store: Store, account: string, name: string): Promise<Stored<RoleRecord>> {
  const found = await store.get(ROLES, namedKey(account, name));
  if (found === undefined) throw noSuchRole(name);
  return found;
}

export async function getUser(store: Store, account: string, name: string): Promise<Stored<UserRecord>> {
  const found = await store.get(USERS, namedKey(account, name));
  if (found === undefined) throw noSuchUser(name);
  return found;
}

export function findPolicy(store: Store, account: string, name: string): Promise<Stored<PolicyRecord> | undefined> {
  return store.get(POLICIES, namedKey(account, name));
}

/** The user who signed. @throws AwsError ValidationError when it was no user. */
export function userNameOf(principal: Principal): string {
  const parsed = parseIamArn(principal.arn);
  if (parsed?.kind === "user") return parsed.name;
  throw validationError("Must specify userName when calling with non-User credentials");
}

/** All records of an account. */
export async function listAll<T>(store: Store, collection: Collection<T>, account: string): Promise<readonly T[]> {
  return (await store.list(collection, { prefix: `${account}/` })).map(({ value }) => value);
}

const ATTEMPTS = 20;

/** Runs a read-and-write step again when somebody else's write came between. */
export async function retryConflicts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isProblem(error, "conflict", "not-found") || round === ATTEMPTS) throw error;
    }
  }
}

/** Changes a role; `change` may answer further writes of the same batch. @throws AwsError NoSuchEntity; UnmodifiableEntity for a service-linked one. */
export function updateRole(
  store: Store,
  account: string,
  name: string,
  change: (
    role: RoleRecord,
  ) => Promise<{ readonly role: RoleRecord; readonly also?: readonly Write[] }> | { readonly role: RoleRecord; readonly also?: readonly Write[] },
): Promise<RoleRecord> {
  return retryConflicts(async () => {
    const found = await getRole(store, account, name);
    if (found.value.linkedService !== undefined) throw unmodifiable(found.value.name);
    const { role, also = [] } = await change(found.value);
    await store.transact([{ op: "update", collection: ROLES, key: found.key, value: role, ifRevision: found.revision }, ...also]);
    return role;
  });
}
