import type { WireRequest } from "../wire.ts";
import { SignatureError } from "./errors.ts";
import type { CredentialScope } from "./keys.ts";

export const ALGORITHM = "AWS4-HMAC-SHA256";

/** The parts of a signature, from the Authorization header or a presigned URL. */
export interface ParsedSignature {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly timestamp: string;
  readonly sessionToken: string | undefined;
  /** Presigned: how long the URL is good. */
  readonly expiresSeconds: number | undefined;
}

/** Reads the signature of a request. `undefined`: it has none. @throws SignatureError `incomplete`. */
export function parseSignature(request: WireRequest): ParsedSignature | undefined {
  const header = request.headers["authorization"];
  if (header !== undefined) return parseHeader(header, request);
  const query = new URLSearchParams(request.query);
  return query.has("X-Amz-Signature") || query.has("X-Amz-Algorithm") || query.has("X-Amz-Credential") ? parsePresigned(query) : undefined;
}

/** The credential scope alone, without any check: enough to route a request and to say whose region it is. */
export function peekScope(request: WireRequest): (CredentialScope & { readonly accessKeyId: string }) | undefined {
  const header = request.headers["authorization"];
  const text =
    header === undefined
      ? request.query.includes("X-Amz-Credential")
        ? new URLSearchParams(request.query).get("X-Amz-Credential")
        : undefined
      : /Credential=([^,\s]+)/.exec(header)?.[1];
  const parts = text?.split("/") ?? [];
  if (parts.length < 5) return undefined;
  const [date = "", region = "", service = ""] = parts.slice(-4);
  return { accessKeyId: parts.slice(0, -4).join("/"), date, region, service };
}

function parseHeader(header: string, request: WireRequest): ParsedSignature {
  const [algorithm = "", ...rest] = header.trim().split(/\s+/);
  if (algorithm !== ALGORITHM) throw new SignatureError("incomplete", `Unsupported AWS 'algorithm': '${algorithm}'. `);
  const fields = new Map<string, string>();
  for (const part of rest
    .join("")
    .split(",")
    .filter((text) => text !== "")) {
    const equals = part.indexOf("=");
    if (equals <= 0) throw new SignatureError("incomplete", `Invalid key=value pair (missing equal-sign) in Authorization header: '${part}'.`);
    fields.set(part.slice(0, equals), part.slice(equals + 1));
  }
  const timestamp = request.headers["x-amz-date"] ?? basicFormat(request.headers["date"]);
  const lacking = ["Credential", "Signature", "SignedHeaders"]
    .filter((name) => !fields.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`);
  if (timestamp === undefined) lacking.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (lacking.length > 0 || timestamp === undefined) throw new SignatureError("incomplete", `${lacking.join(" ")} Authorization=${algorithm}`);
  return {
    ...parseCredential(fields.get("Credential")!),
    signedHeaders: fields.get("SignedHeaders")!.toLowerCase().split(";"),
    signature: fields.get("Signature")!,
    timestamp: checkTimestamp(timestamp),
    sessionToken: request.headers["x-amz-security-token"],
    expiresSeconds: undefined,
  };
}

function parsePresigned(query: URLSearchParams): ParsedSignature {
  const algorithm = query.get("X-Amz-Algorithm");
  if (algorithm !== null && algorithm !== ALGORITHM) throw new SignatureError("incomplete", `Unsupported AWS 'algorithm': '${algorithm}'. `);
  const lacking = ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"].filter((name) => !query.get(name));
  if (lacking.length > 0) {
    throw new SignatureError(
      "incomplete",
      `AWS query-string parameters must include ${lacking.map((name) => `'${name}'`).join(" ")}. Re-examine the query-string parameters.`,
    );
  }
  const expires = query.get("X-Amz-Expires");
  const expiresSeconds = expires === null ? undefined : Number(expires);
  if (expiresSeconds !== undefined && !(Number.isInteger(expiresSeconds) && expiresSeconds >= 0 && expiresSeconds <= 604_800)) {
    throw new SignatureError("incomplete", "X-Amz-Expires must be a number of seconds between 0 and 604800.");
  }
  return {
    ...parseCredential(query.get("X-Amz-Credential")!),
    signedHeaders: query.get("X-Amz-SignedHeaders")!.toLowerCase().split(";"),
    signature: query.get("X-Amz-Signature")!,
    timestamp: checkTimestamp(query.get("X-Amz-Date")!),
    sessionToken: query.get("X-Amz-Security-Token") ?? undefined,
    expiresSeconds,
  };
}

function parseCredential(credential: string): Pick<ParsedSignature, "accessKeyId" | "scope"> {
  const parts = credential.split("/");
  if (parts.length !== 5) {
    throw new SignatureError(
      "incomplete",
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential}'.`,
    );
  }
  const [accessKeyId = "", date = "", region = "", service = "", terminator] = parts;
  if (terminator !== "aws4_request") throw new SignatureError("mismatch", `Credential should be scoped with a valid terminator: 'aws4_request'. `);
  return { accessKeyId, scope: { date, region, service } };
}

function checkTimestamp(text: string): string {
  if (timestampMs(text) === undefined)
    throw new SignatureError("incomplete", `Date must be in ISO-8601 'basic format'. Got '${text}'. See http://en.wikipedia.org/wiki/ISO_8601`);
  return text;
}

/** ms since the epoch of `YYYYMMDDTHHMMSSZ`; `undefined` when the text is none. */
export function timestampMs(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** `YYYYMMDDTHHMMSSZ` of ms since the epoch. */
export function basicTimestamp(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, "");
}

/** An HTTP date, or a date already in basic format. */
function basicFormat(date: string | undefined): string | undefined {
  if (date === undefined || timestampMs(date) !== undefined) return date;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? date : basicTimestamp(ms);
}
