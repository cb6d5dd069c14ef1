import type { Credential, CredentialSource } from "../../contracts/credentials.ts";
import type { Principal } from "../../contracts/service.ts";
import type { Store } from "../../contracts/store.ts";
import type { Clock } from "../../core/clock.ts";
import type { InstanceConfig } from "../../core/config.ts";
import type { Ids } from "../../core/ids.ts";
import { isProblem, Problem } from "../../core/problem.ts";
import { accessKeyId, accountOfKeyId, oidcProviderArn, parseIamArn, roleArn, rootArn, secretAccessKey, sessionToken } from "./identifiers.ts";
import { ACCESS_KEYS, namedKey, OIDC_PROVIDERS, oidcProviderKey, ROLES, ROOT_KEYS, SESSIONS } from "./records.ts";
import type { AccessKeyRecord, RoleRecord, SessionRecord, TagRecord } from "./records.ts";
import { isTrusted, type TrustRequest } from "./trust.ts";

/** One of an account's, by the issuer of its tokens. */
export interface OidcProvider {
  readonly arn: string;
  readonly clientIds: readonly string[];
  /** SHA-1 of certificates, lower-case hex. */
  readonly thumbprints: readonly string[];
}

export interface CredentialSourceOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly config: Pick<InstanceConfig, "account">;
}

export interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface SessionCredentials extends KeyPair {
  readonly sessionToken: string;
  readonly expirationMs: number;
}

export interface RoleSession extends SessionCredentials {
  /** `arn:aws:sts::<account>:assumed-role/<role>/<session>`. */
  readonly assumedRoleArn: string;
  /** `AROA…:<session>`. */
  readonly assumedRoleId: string;
}

export interface RoleSessionRequest {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  /** Whose role it must be. */
  readonly account: string;
  readonly tags?: readonly TagRecord[];
}

/** The keys of IAM and STS: looked up by the gateway, made for roles' sessions. All are kept in the store and survive a restart. */
export interface IamCredentials extends CredentialSource, Disposable {
  /** The keys of the account's root, made at first start; the same ones ever after, unless they were deleted. Idempotent. */
  ensureRootKeys(): Promise<KeyPair>;
  /** Temporary credentials of a role. @throws Problem `not-found` when the account has no such role. */
  issueRoleSession(request: RoleSessionRequest): Promise<RoleSession>;
  /** Temporary credentials that act as `principal`. */
  issueSessionToken(request: {
    readonly principal: Principal;
    readonly account: string;
    readonly durationSeconds: number;
  }): Promise<SessionCredentials>;
  roleExists(roleArn: string): Promise<boolean>;
  /** `undefined` when there is no such role. */
  maxSessionSeconds(roleArn: string): Promise<number | undefined>;
  /** Whether the role's trust policy lets them take it on; false where there is no such role. */
  trusts(roleArn: string, request: TrustRequest): Promise<boolean>;
  /** `issuer`: a URL. `undefined` where the account has none for it. */
  oidcProvider(account: string, issuer: string): Promise<OidcProvider | undefined>;
  /** The account in an access key id; `undefined` when the text is no such id. */
  accountOfKeyId(accessKeyId: string): string | undefined;
}

const MAX_CACHED = 10_000;

/** Makes the one source of credentials. Dispose it to stop watching the store. */
export function createCredentialSource(options: CredentialSourceOptions): IamCredentials {
  return new StoredCredentials(options);
}

class StoredCredentials implements IamCredentials {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #account: string;
  readonly #cache = new Map<string, Credential>();
  /** Grows with every change of keys: what was read before a change must not be cached after it. */
  #generation = 0;
  readonly #watches: readonly Disposable[];

  constructor({ store, clock, ids, config }: CredentialSourceOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#ids = ids;
    this.#account = config.account;
    const forget = ({ key }: { readonly key: string }): void => {
      this.#generation++;
      this.#cache.delete(key);
    };
    this.#watches = [store.watch(ACCESS_KEYS, forget), store.watch(SESSIONS, forget)];
  }

  async find(id: string): Promise<Credential | undefined> {
    const cached = this.#cache.get(id);
    if (cached !== undefined) return cached;
    const generation = this.#generation;
    const found = id.startsWith("ASIA") ? await this.#findSession(id) : await this.#findKey(id);
    if (found === undefined || generation !== this.#generation) return found;
    if (this.#cache.size >= MAX_CACHED) this.#cache.delete(this.#cache.keys().next().value!);
    this.#cache.set(id, found);
    return found;
  }

  async #findKey(id: string): Promise<Credential | undefined> {
    const key = (await this.#store.get(ACCESS_KEYS, id))?.value;
    if (key === undefined || key.status !== "Active") return undefined;
    const { secretAccessKey: secret, account, principalArn, userId } = key;
    return { accessKeyId: id, secretAccessKey: secret, account, principal: { arn: principalArn, userId, accessKeyId: id } };
  }

  async #findSession(id: string): Promise<Credential | undefined> {
    const session = (await this.#store.get(SESSIONS, id))?.value;
    if (session === undefined) return undefined;
    const { secretAccessKey: secret, sessionToken: token, account, principalArn, userId, expirationMs } = session;
    return {
      accessKeyId: id,
      secretAccessKey: secret,
      sessionToken: token,
      expirationMs,
      account,
      principal: { arn: principalArn, userId, accessKeyId: id },
    };
  }

  async ensureRootKeys(): Promise<KeyPair> {
    for (;;) {
      const pointer = await this.#store.get(ROOT_KEYS, this.#account);
      const key = pointer === undefined ? undefined : (await this.#store.get(ACCESS_KEYS, pointer.value.accessKeyId))?.value;
      if (key !== undefined) return { accessKeyId: key.accessKeyId, secretAccessKey: key.secretAccessKey };
      const made = this.#newRootKey();
      try {
        await this.#store.transact([
          pointer === undefined
            ? { op: "create", collection: ROOT_KEYS, key: this.#account, value: { accessKeyId: made.accessKeyId } }
            : { op: "update", collection: ROOT_KEYS, key: this.#account, value: { accessKeyId: made.accessKeyId }, ifRevision: pointer.revision },
          { op: "create", collection: ACCESS_KEYS, key: made.accessKeyId, value: made },
        ]);
        return { accessKeyId: made.accessKeyId, secretAccessKey: made.secretAccessKey };
      } catch (error) {
        // Somebody made them meanwhile: read theirs.
        if (!isProblem(error, "already-exists", "conflict")) throw error;
      }
    }
  }

  #newRootKey(): AccessKeyRecord {
    return {
      accessKeyId: accessKeyId(this.#ids, "AKIA", this.#account),
      secretAccessKey: secretAccessKey(this.#ids),
      account: this.#account,
      principalArn: rootArn(this.#account),
      userId: this.#account,
      status: "Active",
      createdAtMs: this.#clock.nowMs(),
    };
  }

  async issueRoleSession(request: RoleSessionRequest): Promise<RoleSession> {
    const role = await this.#role(request.roleArn);
    if (role === undefined || role.account !== request.account) {
      throw new Problem("not-found", `there is no role ${request.roleArn} in account ${request.account}; create it with iam create-role`);
    }
    const principalArn = `arn:aws:sts::${role.account}:assumed-role/${role.name}/${request.sessionName}`;
    const userId = `${role.id}:${request.sessionName}`;
    const session = await this.#issue({ account: role.account, principalArn, userId, tags: request.tags ?? [] }, request.durationSeconds);
    return { ...session, assumedRoleArn: principalArn, assumedRoleId: userId };
  }

  issueSessionToken(request: {
    readonly principal: Principal;
    readonly account: string;
    readonly durationSeconds: number;
  }): Promise<SessionCredentials> {
    const { principal, account, durationSeconds } = request;
    return this.#issue({ account, principalArn: principal.arn, userId: principal.userId, tags: [] }, durationSeconds);
  }

  async #issue(whose: Pick<SessionRecord, "account" | "principalArn" | "userId" | "tags">, durationSeconds: number): Promise<SessionCredentials> {
    const nowMs = this.#clock.nowMs();
    const session: SessionRecord = {
      ...whose,
      accessKeyId: accessKeyId(this.#ids, "ASIA", whose.account),
      secretAccessKey: secretAccessKey(this.#ids),
      sessionToken: sessionToken(this.#ids),
      createdAtMs: nowMs,
      // Whole seconds, as they are told to the client.
      expirationMs: Math.floor(nowMs / 1000 + durationSeconds) * 1000,
    };
    await this.#store.transact([{ op: "create", collection: SESSIONS, key: session.accessKeyId, value: session }]);
    const { accessKeyId: id, secretAccessKey: secret, sessionToken: token, expirationMs } = session;
    return { accessKeyId: id, secretAccessKey: secret, sessionToken: token, expirationMs };
  }

  async roleExists(arn: string): Promise<boolean> {
    return (await this.#role(arn)) !== undefined;
  }

  async maxSessionSeconds(arn: string): Promise<number | undefined> {
    return (await this.#role(arn))?.maxSessionSeconds;
  }

  async trusts(arn: string, request: TrustRequest): Promise<boolean> {
    const role = await this.#role(arn);
    return role !== undefined && isTrusted(role.trustPolicy, request);
  }

  async oidcProvider(account: string, issuer: string): Promise<OidcProvider | undefined> {
    const url = issuer.replace(/^https:\/\//, "").replace(/\/$/, "");
    const provider = (await this.#store.get(OIDC_PROVIDERS, oidcProviderKey(account, url)))?.value;
    return provider && { arn: oidcProviderArn(provider), clientIds: provider.clientIds, thumbprints: provider.thumbprints };
  }

  async #role(arn: string): Promise<RoleRecord | undefined> {
    const parsed = parseIamArn(arn);
    if (parsed?.kind !== "role") return undefined;
    const role = (await this.#store.get(ROLES, namedKey(parsed.account, parsed.name)))?.value;
    return role !== undefined && roleArn(role) === arn.replace(/^arn:aws[a-z-]*:/, "arn:aws:") ? role : undefined;
  }

  accountOfKeyId(id: string): string | undefined {
    return accountOfKeyId(id);
  }

  [Symbol.dispose](): void {
    for (const watch of this.#watches) watch[Symbol.dispose]();
  }
}
