import type { Principal } from "../../contracts/service.ts";

/** What STS needs of whoever keeps roles and sessions (IAM's credentials). */
export interface SessionIssuer {
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
