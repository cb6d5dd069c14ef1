import { partitionOf } from "../../../core/arn.ts";
import type { SignedGet } from "../ports.ts";

const PREFIX = "k8s-aws-v1.";
const MAXIMUM_LENGTH = 4096;
/** The signed header that binds a token to its cluster. It is not in the URL: who checks the token adds it. */
const CLUSTER_HEADER = "x-k8s-aws-id";
const LIFETIME_MS = 15 * 60_000;
/** How far the client's clock may be ahead, as at STS. */
const AHEAD_MS = 15 * 60_000;
const MAXIMUM_EXPIRES_SECONDS = 900;
const PARAMETERS = [
  "action",
  "version",
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-security-token",
  "x-amz-signature",
  "x-amz-signedheaders",
];

export interface TokenContext {
  readonly clusterName: string;
  readonly region: string;
  /** Under which this Tidegate is its own STS: `localhost:4566`. */
  readonly ownHosts: readonly string[];
  readonly nowMs: number;
}

export type ReadToken = { readonly get: SignedGet } | { readonly fault: string };

/**
 * Reads a token of `aws eks get-token`, a presigned GetCallerIdentity, and checks all but the signature: form, host, parameters, age. Pure.
 * @see the order of checks of aws-iam-authenticator
 */
export function readToken(token: string, context: TokenContext): ReadToken {
  if (token.length > MAXIMUM_LENGTH) return { fault: "token is too large" };
  if (!token.startsWith(PREFIX)) return { fault: `token is missing expected "${PREFIX}" prefix` };
  const encoded = token.slice(PREFIX.length);
  if (!/^[A-Za-z0-9_-]+$/.test(encoded)) return { fault: "token is not base64url" };
  const url = urlOf(Buffer.from(encoded, "base64url").toString());
  if (url === undefined) return { fault: "token holds no URL" };
  const isOwn = context.ownHosts.includes(url.host);
  if (!isOwn && !(url.protocol === "https:" && isStsHost(url.host, context.region))) {
    return { fault: `unexpected host ${JSON.stringify(url.host)} in pre-signed URL` };
  }
  if (url.pathname !== "/" || url.hash !== "" || url.username !== "" || url.password !== "") return { fault: "unexpected path in pre-signed URL" };
  return readQuery(url, context);
}

function readQuery(url: URL, { clusterName, nowMs }: TokenContext): ReadToken {
  const values = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const lower = name.toLowerCase();
    if (!PARAMETERS.includes(lower)) return { fault: `non-whitelisted query parameter ${JSON.stringify(name)}` };
    if (values.has(lower)) return { fault: `query parameter ${JSON.stringify(name)} appears twice` };
    values.set(lower, value);
  }
  if (values.get("action") !== "GetCallerIdentity") return { fault: "unexpected action parameter in pre-signed URL" };
  const signed = (values.get("x-amz-signedheaders") ?? "").toLowerCase().split(";");
  if (!signed.includes(CLUSTER_HEADER)) return { fault: `client did not sign the ${CLUSTER_HEADER} header in the pre-signed URL` };
  const expires = values.get("x-amz-expires") ?? "";
  if (!/^\d{1,5}$/.test(expires) || Number(expires) > MAXIMUM_EXPIRES_SECONDS) return { fault: "invalid X-Amz-Expires parameter in pre-signed URL" };
  const signedAtMs = dateOf(values.get("x-amz-date") ?? "");
  if (signedAtMs === undefined) return { fault: "error parsing X-Amz-Date parameter" };
  // Whatever the URL says of its expiry: clients say 60 seconds, and mean a quarter of an hour.
  if (nowMs > signedAtMs + LIFETIME_MS) return { fault: "token is expired" };
  if (signedAtMs > nowMs + AHEAD_MS) return { fault: "token is not valid yet: the client's clock is ahead" };
  return { get: { host: url.host, query: url.search.slice(1), headers: { [CLUSTER_HEADER]: clusterName }, signedAtMs } };
}

function urlOf(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === "https:" || url?.protocol === "http:" ? url : undefined;
}

/** Of the region's partition: the global name, regional, FIPS and dual-stack ones. */
function isStsHost(host: string, region: string): boolean {
  const partition = partitionOf(region);
  const suffix = partition === "aws-cn" ? "amazonaws\\.com\\.cn" : "amazonaws\\.com";
  const regional = new RegExp(`^sts(?:-fips)?\\.([a-z]{2,}(?:-[a-z]+)+-\\d)\\.(?:${suffix}|api\\.aws)$`).exec(host)?.[1];
  if (regional !== undefined) return partitionOf(regional) === partition;
  return partition === "aws" && host === "sts.amazonaws.com";
}

function dateOf(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
