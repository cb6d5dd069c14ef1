import { collection } from "../../contracts/store.ts";

/** What IAM keeps. IAM is global: keys start with the account alone, and names are one whatever the case of their letters. */

export interface TagRecord {
  readonly key: string;
  readonly value: string;
}

export interface RoleRecord {
  readonly account: string;
  readonly name: string;
  /** Starts and ends with a slash. */
  readonly path: string;
  /** `AROA…`. */
  readonly id: string;
  readonly createdAtMs: number;
  /** The trust policy, as given. */
  readonly trustPolicy: string;
  readonly description?: string;
  readonly maxSessionSeconds: number;
  readonly tags: readonly TagRecord[];
  /** Document by policy name. */
  readonly inlinePolicies: Readonly<Record<string, string>>;
  /** ARNs, in the order attached. */
  readonly attachedPolicies: readonly string[];
  /** Service-linked: whose it is; such a role cannot be changed. */
  readonly linkedService?: string;
}

export interface PolicyVersionRecord {
  /** `v1`, `v2`, … */
  readonly id: string;
  readonly document: string;
  readonly createdAtMs: number;
}

export interface PolicyRecord {
  readonly account: string;
  readonly name: string;
  readonly path: string;
  /** `ANPA…`. */
  readonly id: string;
  readonly arn: string;
  readonly description?: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly versions: readonly PolicyVersionRecord[];
  readonly defaultVersionId: string;
  /** Of the next version; numbers are never used twice. */
  readonly nextVersion: number;
  readonly tags: readonly TagRecord[];
}

export interface UserRecord {
  readonly account: string;
  readonly name: string;
  readonly path: string;
  /** `AIDA…`. */
  readonly id: string;
  readonly createdAtMs: number;
  readonly tags: readonly TagRecord[];
}

export interface AccessKeyRecord {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly account: string;
  /** Left out: the account's root. */
  readonly userName?: string;
  readonly principalArn: string;
  readonly userId: string;
  readonly status: "Active" | "Inactive";
  readonly createdAtMs: number;
}

export interface OidcProviderRecord {
  readonly account: string;
  /** The issuer's, without `https://`. */
  readonly url: string;
  /** Audiences whose tokens are taken. */
  readonly clientIds: readonly string[];
  /** SHA-1 of certificates, lower-case hex. */
  readonly thumbprints: readonly string[];
  readonly createdAtMs: number;
  readonly tags: readonly TagRecord[];
}

export interface SessionRecord {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly account: string;
  readonly principalArn: string;
  readonly userId: string;
  readonly createdAtMs: number;
  readonly expirationMs: number;
  readonly tags: readonly TagRecord[];
}

/** By `<account>/<name in lower case>`. */
export const ROLES = collection<RoleRecord>("iam.role");
/** Customer-managed policies, by `<account>/<name in lower case>`. */
export const POLICIES = collection<PolicyRecord>("iam.policy");
/** By `<account>/<name in lower case>`. */
export const USERS = collection<UserRecord>("iam.user");
/** By `<account>/<url>`. */
export const OIDC_PROVIDERS = collection<OidcProviderRecord>("iam.oidc-provider");
/** Long-lived keys, by access key id. */
export const ACCESS_KEYS = collection<AccessKeyRecord>("iam.access-key");
/** Which access key was made for the account's root at first start, by account. */
export const ROOT_KEYS = collection<{ readonly accessKeyId: string }>("iam.root-key");
/** Temporary credentials, by access key id. */
export const SESSIONS = collection<SessionRecord>("iam.session");

export function oidcProviderKey(account: string, url: string): string {
  return `${account}/${url}`;
}

/** The key of a role, policy or user. */
export function namedKey(account: string, name: string): string {
  return `${account}/${name.toLowerCase()}`;
}
