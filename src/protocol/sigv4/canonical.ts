import { createHash } from "node:crypto";

/** What of a request is signed. */
export interface SignedParts {
  readonly method: string;
  /** As sent, escapes and all. */
  readonly path: string;
  /** As sent, without the question mark. */
  readonly query: string;
  /** All headers in the order sent: name, value. */
  readonly headers: readonly (readonly [string, string])[];
  /** In lower case, sorted. */
  readonly signedHeaders: readonly string[];
  /** Lower-case hex SHA-256 of the body, or what the request says in its place. */
  readonly payloadHash: string;
}

/** @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
export function canonicalRequest(parts: SignedParts): string {
  const headers = parts.signedHeaders.map((name) => `${name}:${headerValue(parts.headers, name)}\n`).join("");
  return [parts.method, canonicalPath(parts.path), canonicalQuery(parts.query), headers, parts.signedHeaders.join(";"), parts.payloadHash].join("\n");
}

/** Dots are resolved, double slashes closed, and each segment is escaped once more than it was sent (every service but S3). */
export function canonicalPath(path: string): string {
  const resolved: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") resolved.pop();
    else resolved.push(escapeRfc3986(segment));
  }
  return resolved.length === 0 ? "/" : `/${resolved.join("/")}${path.endsWith("/") ? "/" : ""}`;
}

/** Names and values unescaped, escaped again in one way, and sorted by name, then value; the signature itself is left out. */
export function canonicalQuery(query: string): string {
  return query
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
      return [recode(name), recode(value)] as const;
    })
    .filter(([name]) => name !== "X-Amz-Signature")
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function recode(text: string): string {
  try {
    return escapeRfc3986(decodeURIComponent(text.replaceAll("+", " ")));
  } catch {
    // Not UTF-8 behind the escapes: what was sent is what was signed.
    return text;
  }
}

/** Escapes all but `A-Za-z0-9-._~`. */
export function escapeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The values of one name in the order sent, joined by commas; outer spaces cut, inner runs of spaces made one. */
function headerValue(headers: readonly (readonly [string, string])[], wanted: string): string {
  return headers
    .filter(([name]) => name.toLowerCase() === wanted)
    .map(([, value]) => value.trim().replace(/\s+/g, " "))
    .join(",");
}

export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
