import { createHmac, timingSafeEqual } from "node:crypto";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem } from "../core/problem.ts";
import type { Scope } from "../core/scope.ts";
import { SECRETS } from "./records.ts";

/** @see ECR GetAuthorizationToken: 12 hours. */
export const TOKEN_LIFETIME_MS = 12 * 60 * 60 * 1000;

/** Whom a token was given to. Its region is where plain names (`localhost:4566/api`) are looked up. */
export interface Caller extends Scope {
  readonly principalArn: string;
}

export interface AuthorizationToken {
  /** For `docker login -u AWS`. */
  readonly password: string;
  /** base64 of `AWS:<password>`. */
  readonly authorizationToken: string;
  readonly expiresAtMs: number;
}

export type Verification = { readonly state: "valid"; readonly caller: Caller } | { readonly state: "absent" | "invalid" | "expired" };

interface TokenPayload extends Caller {
  readonly expiresAtMs: number;
}

interface LayerPayload extends Scope {
  readonly repository: string;
  readonly digest: string;
  readonly expiresAtMs: number;
}

/** Tokens that carry what they say, signed with a key that is made once and kept in the store. */
export class Tokens {
  readonly #key: Buffer;
  readonly #clock: Clock;

  private constructor(key: Buffer, clock: Clock) {
    this.#key = key;
    this.#clock = clock;
  }

  static async open(tools: { readonly store: Store; readonly clock: Clock; readonly ids: Ids }): Promise<Tokens> {
    const { store } = tools;
    try {
      await store.transact([{ op: "create", collection: SECRETS, key: "token", value: { key: tools.ids.hex(64) } }]);
    } catch (error) {
      if (!isProblem(error, "already-exists")) throw error;
    }
    const kept = await store.get(SECRETS, "token");
    return new Tokens(Buffer.from(kept?.value.key ?? "", "hex"), tools.clock);
  }

  /** A token for `caller`, good for `lifetimeMs`, 12 hours unless said. */
  issue(caller: Caller, lifetimeMs: number = TOKEN_LIFETIME_MS): AuthorizationToken {
    const expiresAtMs = this.#clock.nowMs() + lifetimeMs;
    const { account, region, principalArn } = caller;
    const payload = encode({ account, region, principalArn, expiresAtMs } satisfies TokenPayload);
    const envelope = { payload, datakey: this.#sign("token", payload), version: "2", type: "DATA_KEY", expiration: Math.floor(expiresAtMs / 1000) };
    const password = Buffer.from(JSON.stringify(envelope)).toString("base64");
    return { password, authorizationToken: Buffer.from(`AWS:${password}`).toString("base64"), expiresAtMs };
  }

  /** Reads an `Authorization` header: Basic, with user `AWS` and a password of ours. */
  verify(header: string | undefined): Verification {
    if (header === undefined) return { state: "absent" };
    const basic = /^basic\s+(\S+)$/i.exec(header)?.[1];
    if (basic === undefined) return { state: "invalid" };
    const [user, password = ""] = splitOnce(Buffer.from(basic, "base64").toString(), ":");
    const envelope: { readonly payload?: unknown; readonly datakey?: unknown } | undefined = decode(password, "base64");
    if (user !== "AWS" || typeof envelope?.payload !== "string" || typeof envelope.datakey !== "string") return { state: "invalid" };
    if (!this.#isSigned("token", envelope.payload, envelope.datakey)) return { state: "invalid" };
    const payload = decode(envelope.payload, "base64url") as TokenPayload | undefined;
    if (payload === undefined) return { state: "invalid" };
    if (payload.expiresAtMs <= this.#clock.nowMs()) return { state: "expired" };
    const { account, region, principalArn } = payload;
    return { state: "valid", caller: { account, region, principalArn } };
  }

  /** A query parameter that opens one blob for `lifetimeMs`, as a presigned URL does. */
  issueForLayer(layer: Scope & { readonly repository: string; readonly digest: string }, lifetimeMs: number): string {
    const { account, region, repository, digest } = layer;
    const payload = encode({ account, region, repository, digest, expiresAtMs: this.#clock.nowMs() + lifetimeMs } satisfies LayerPayload);
    return `${payload}.${this.#sign("layer", payload)}`;
  }

  /** The scope that a layer's parameter opens, if it is one for this blob and has not run out. */
  verifyForLayer(text: string, layer: { readonly repository: string; readonly digest: string }): Scope | undefined {
    const [encoded, signature = ""] = splitOnce(text, ".");
    if (!this.#isSigned("layer", encoded, signature)) return undefined;
    const payload = decode(encoded, "base64url") as LayerPayload | undefined;
    if (payload === undefined || payload.expiresAtMs <= this.#clock.nowMs()) return undefined;
    return payload.repository === layer.repository && payload.digest === layer.digest
      ? { account: payload.account, region: payload.region }
      : undefined;
  }

  #sign(purpose: string, payload: string): string {
    return createHmac("sha256", this.#key).update(`${purpose}\n${payload}`).digest("base64url");
  }

  #isSigned(purpose: string, payload: string, signature: string): boolean {
    const right = Buffer.from(this.#sign(purpose, payload));
    const given = Buffer.from(signature);
    return right.length === given.length && timingSafeEqual(right, given);
  }
}

function encode(payload: object): string {
  return Buffer.from(JSON.stringify(payload)).toString("base64url");
}

function decode(text: string, encoding: "base64" | "base64url"): object | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, encoding).toString());
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function splitOnce(text: string, separator: string): readonly [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
