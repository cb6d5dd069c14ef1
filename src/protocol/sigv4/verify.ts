import { createHash, timingSafeEqual } from "node:crypto";
import type { Credential, CredentialSource } from "../../contracts/credentials.ts";
import type { WireRequest } from "../wire.ts";
import { canonicalRequest, sha256Hex } from "./canonical.ts";
import { SignatureError } from "./errors.ts";
import { SigningKeys } from "./keys.ts";
import type { CredentialScope } from "./keys.ts";
import { ALGORITHM, basicTimestamp, parseSignature, timestampMs } from "./parse.ts";
import type { ParsedSignature } from "./parse.ts";

export interface VerifierOptions {
  readonly credentials: CredentialSource;
  /** How far the client's clock may be off, default 15 minutes. */
  readonly maxSkewMs?: number;
}

export interface VerifyOptions {
  /** The service's signing name; the credential must be scoped to it. */
  readonly service: string;
  readonly nowMs: number;
  /** All headers in the order sent, for values that came twice. */
  readonly rawHeaders: readonly (readonly [string, string])[];
  /** Let `UNSIGNED-PAYLOAD` through: only where AWS does (no service built so far). */
  readonly allowUnsignedPayload?: boolean;
}

export interface Verified {
  readonly credential: Credential;
  readonly scope: CredentialScope;
}

const MISMATCH =
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/** What must be signed when it is there, beside `host`: it says what is called, when, as whom, with what. */
const MUST_BE_SIGNED = ["x-amz-date", "x-amz-target", "x-amz-security-token", "x-amz-content-sha256"];

/**
 * Checks AWS Signature Version 4, in the header and in presigned URLs.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */
export class SignatureVerifier {
  readonly #credentials: CredentialSource;
  readonly #maxSkewMs: number;
  readonly #keys = new SigningKeys();

  constructor(options: VerifierOptions) {
    this.#credentials = options.credentials;
    this.#maxSkewMs = options.maxSkewMs ?? 15 * 60_000;
  }

  /** @throws SignatureError with AWS's words. */
  async verify(request: WireRequest, options: VerifyOptions): Promise<Verified> {
    const parsed = parseSignature(request);
    if (parsed === undefined) throw new SignatureError("missing", "Request is missing Authentication Token");
    checkScope(parsed, options.service);
    checkSignedHeaders(parsed, request);
    this.#checkTime(parsed, options.nowMs);
    const credential = await this.#credentials.find(parsed.accessKeyId);
    if (credential === undefined) throw new SignatureError("unknown-key", "The security token included in the request is invalid.");
    const payloadHash = payloadHashOf(request, options.allowUnsignedPayload === true);
    checkSignature(this.#expected(parsed, request, options, credential, payloadHash), parsed.signature);
    checkToken(parsed, credential, options.nowMs);
    return { credential, scope: parsed.scope };
  }

  #expected(parsed: ParsedSignature, request: WireRequest, options: VerifyOptions, credential: Credential, payloadHash: string): Buffer {
    const { scope, timestamp, signedHeaders } = parsed;
    const canonical = canonicalRequest({
      method: request.method,
      path: request.path,
      query: request.query,
      headers: options.rawHeaders,
      signedHeaders,
      payloadHash,
    });
    const scopeText = `${scope.date}/${scope.region}/${scope.service}/aws4_request`;
    return this.#keys.sign(credential.secretAccessKey, scope, [ALGORITHM, timestamp, scopeText, sha256Hex(canonical)].join("\n"));
  }

  #checkTime(parsed: ParsedSignature, nowMs: number): void {
    const signedMs = timestampMs(parsed.timestamp)!;
    const now = basicTimestamp(nowMs);
    const skewMinutes = Math.round(this.#maxSkewMs / 60_000);
    if (signedMs - this.#maxSkewMs > nowMs) {
      const limit = basicTimestamp(nowMs + this.#maxSkewMs);
      throw new SignatureError(
        "skewed",
        `Signature not yet current: ${parsed.timestamp} is still later than ${limit} (${now} + ${skewMinutes} min.)`,
      );
    }
    if (parsed.expiresSeconds !== undefined) {
      const untilMs = signedMs + parsed.expiresSeconds * 1000;
      if (untilMs < nowMs) throw new SignatureError("skewed", `Signature expired: ${basicTimestamp(untilMs)} is now earlier than ${now}`);
      return;
    }
    if (signedMs + this.#maxSkewMs < nowMs) {
      const limit = basicTimestamp(nowMs - this.#maxSkewMs);
      throw new SignatureError("skewed", `Signature expired: ${parsed.timestamp} is now earlier than ${limit} (${now} - ${skewMinutes} min.)`);
    }
  }
}

function checkScope({ scope, timestamp }: ParsedSignature, service: string): void {
  if (scope.service !== service) throw new SignatureError("mismatch", `Credential should be scoped to correct service: '${service}'. `);
  if (!/^[a-z]{2,}(-[a-z]+)+-\d+$/.test(scope.region)) throw new SignatureError("mismatch", "Credential should be scoped to a valid region. ");
  const date = timestamp.slice(0, 8);
  if (scope.date !== date) {
    throw new SignatureError(
      "mismatch",
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scope.date}' != '${date}', from '${timestamp}'.`,
    );
  }
}

function checkSignedHeaders({ signedHeaders }: ParsedSignature, request: WireRequest): void {
  if (!signedHeaders.includes("host") && !signedHeaders.includes(":authority")) {
    throw new SignatureError("mismatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  const sorted = signedHeaders.every((name, index) => index === 0 || signedHeaders[index - 1]! < name);
  if (!sorted) throw new SignatureError("mismatch", MISMATCH);
  const unsigned = MUST_BE_SIGNED.filter((name) => request.headers[name] !== undefined && !signedHeaders.includes(name));
  if (unsigned.length > 0)
    throw new SignatureError("mismatch", `There were headers present in the request which were not signed: ${unsigned.join(", ")}`);
}

/** The hash that goes into the signature: that of the body that came, whatever the header says of it. */
function payloadHashOf(request: WireRequest, allowUnsigned: boolean): string {
  const said = request.headers["x-amz-content-sha256"];
  if (said === "UNSIGNED-PAYLOAD" && allowUnsigned) return said;
  const actual = sha256Hex(request.body);
  if (said !== undefined && said.toLowerCase() !== actual) {
    throw new SignatureError("mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  return actual;
}

/** In constant time. */
function checkSignature(expected: Buffer, signature: string): void {
  const given = /^[0-9a-f]{64}$/.test(signature) ? Buffer.from(signature, "hex") : Buffer.alloc(expected.length);
  if (!timingSafeEqual(expected, given)) throw new SignatureError("mismatch", MISMATCH);
}

function checkToken({ sessionToken }: ParsedSignature, credential: Credential, nowMs: number): void {
  if (!sameText(sessionToken ?? "", credential.sessionToken ?? "")) {
    throw new SignatureError("invalid-token", "The security token included in the request is invalid.");
  }
  if (credential.expirationMs !== undefined && credential.expirationMs <= nowMs) {
    throw new SignatureError("expired-token", "The security token included in the request is expired");
  }
}

/** In time that depends on neither text's content. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
