import type { JSONWebKeySet } from "jose";
import type { Principal } from "../../contracts/service.ts";

/** What STS is made of. */
export interface StsOptions {
  readonly issuer: SessionIssuer;
  readonly keys: IssuerKeys;
}

export interface OidcProviders {
  /** The account's provider for an issuer (a URL); `undefined` where there is none. */
  oidcProvider(
    account: string,
    issuer: string,
  ): Promise<{ readonly arn: string; readonly clientIds: readonly string[]; readonly thumbprints: readonly string[] } | undefined>;
}

export interface IssuerKeys {
  /**
   * The keys by which an issuer's tokens are verified. `thumbprints`: SHA-1 of certificates that are taken, lower-case hex; `keyId`: of the key that is wanted.
   * @throws Problem `unavailable` where they cannot be had, with why.
   */
  of(issuer: string, wanted: { readonly thumbprints: readonly string[]; readonly keyId: string | undefined }): Promise<JSONWebKeySet>;
}

/** What STS needs of whoever keeps roles and sessions (IAM's credentials). */
export interface SessionIssuer extends OidcProviders {
  /** Whether the role's trust policy lets them take it on; false where there is no such role. */
  trusts(
    roleArn: string,
    request: {
      readonly action: string;
      readonly principal: { readonly type: "Federated"; readonly names: readonly string[] };
      readonly context: Readonly<Record<string, readonly string[]>>;
    },
  ): Promise<boolean>;
  /** @throws Problem `not-found` when the account has no such role. */
  issueRoleSession(request: {
    readonly roleArn: string;
    readonly sessionName: string;
    readonly durationSeconds: number;
    readonly account: string;
    readonly tags?: readonly { readonly key: string; readonly value: string }[];
  }): Promise<IssuedSession & { readonly assumedRoleArn: string; readonly assumedRoleId: string }>;
  issueSessionToken(request: { readonly principal: Principal; readonly account: string; readonly durationSeconds: number }): Promise<IssuedSession>;
  /** `undefined` when there is no such role. */
  maxSessionSeconds(roleArn: string): Promise<number | undefined>;
  /** The account that an access key id belongs to; `undefined` when the text is no such id. */
  accountOfKeyId(accessKeyId: string): string | undefined;
}

export interface IssuedSession {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expirationMs: number;
}
