import type { Principal } from "./service.ts";

/** What is known of an access key: enough to check a signature and to say who signed. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Temporary credentials: must come with each request. */
  readonly sessionToken?: string;
  /** Temporary credentials: not valid from then on, ms since the epoch. */
  readonly expirationMs?: number;
  /** Twelve digits: whose records the request is about. */
  readonly account: string;
  readonly principal: Principal;
}

/** Where the gateway looks keys up. Asked at every request, so it answers from memory when it can. */
export interface CredentialSource {
  /** `undefined` for a key that does not exist or is not active. Expired sessions may be answered or not: the caller looks at `expirationMs`. */
  find(accessKeyId: string): Promise<Credential | undefined>;
}
