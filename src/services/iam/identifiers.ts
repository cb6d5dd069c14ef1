import { createHash } from "node:crypto";
import type { Ids } from "../../core/ids.ts";

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let shift = BigInt(bytes.length * 8 - 5); shift >= 0n; shift -= 5n) text += BASE32[Number((bits >> shift) & 31n)];
  return text;
}

/** A unique id such as `AROA` + 17 characters. */
export function uniqueId(ids: Ids, prefix: "AROA" | "ANPA" | "AIDA"): string {
  return prefix + base32(Buffer.from(ids.hex(30), "hex")).slice(0, 17);
}

/** The same id every time for what has no record, such as AWS-managed policies. */
export function derivedId(prefix: "ANPA", name: string): string {
  return prefix + base32(createHash("sha256").update(name).digest().subarray(0, 15)).slice(0, 17);
}

/**
 * An access key id, `AKIA` (long-lived) or `ASIA` (temporary) and 16 characters. As with AWS's own, the account is in it, so that
 * GetAccessKeyInfo can tell whose key an id is, known or not.
 */
export function accessKeyId(ids: Ids, prefix: "AKIA" | "ASIA", account: string): string {
  const random = BigInt(`0x${ids.hex(10)}`);
  // 80 bits: one set, 40 of the account, 39 random.
  const bits = (1n << 79n) | ((BigInt(account) & ((1n << 40n) - 1n)) << 39n) | (random & ((1n << 39n) - 1n));
  return prefix + base32(Buffer.from(bits.toString(16).padStart(20, "0"), "hex"));
}

/** The account in an access key id; `undefined` when the text is no such id. */
export function accountOfKeyId(id: string): string | undefined {
  if (!/^A[KS]IA[A-Z2-7]{16}$/.test(id)) return undefined;
  let bits = 0n;
  for (const character of id.slice(4)) bits = (bits << 5n) | BigInt(BASE32.indexOf(character));
  return String((bits >> 39n) & ((1n << 40n) - 1n)).padStart(12, "0");
}

/** 40 characters. */
export function secretAccessKey(ids: Ids): string {
  return ids.alphanumeric(40);
}

export function sessionToken(ids: Ids): string {
  return `IQoJb3JpZ2lu${ids.alphanumeric(344)}`;
}

export function roleArn(role: { readonly account: string; readonly path: string; readonly name: string }): string {
  return `arn:aws:iam::${role.account}:role${role.path}${role.name}`;
}

export function userArn(user: { readonly account: string; readonly path: string; readonly name: string }): string {
  return `arn:aws:iam::${user.account}:user${user.path}${user.name}`;
}

export function policyArn(account: string, path: string, name: string): string {
  return `arn:aws:iam::${account}:policy${path}${name}`;
}

export function oidcProviderArn({ account, url }: { readonly account: string; readonly url: string }): string {
  return `arn:aws:iam::${account}:oidc-provider/${url}`;
}

export function parseOidcProviderArn(arn: string): { readonly account: string; readonly url: string } | undefined {
  const [, account, url] = /^arn:aws[a-z-]*:iam::(\d{12}):oidc-provider\/(.+)$/.exec(arn) ?? [];
  return account === undefined || url === undefined ? undefined : { account, url };
}

export function rootArn(account: string): string {
  return `arn:aws:iam::${account}:root`;
}

/** The parts of `arn:aws:iam::<account>:<kind>/<path><name>`. */
export function parseIamArn(
  arn: string,
): { readonly account: string; readonly kind: string; readonly path: string; readonly name: string } | undefined {
  const match = /^arn:aws[a-z-]*:iam::(\d{12}|aws):(role|policy|user)(\/(?:.*\/)?)([^/]+)$/.exec(arn);
  if (match === null) return undefined;
  const [, account = "", kind = "", path = "", name = ""] = match;
  return { account, kind, path, name };
}
