import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest } from "@smithy/types";
import { describe, expect, it } from "vitest";
import type { Credential } from "../../contracts/credentials.ts";
import type { WireRequest } from "../wire.ts";
import { canonicalPath, canonicalQuery } from "./canonical.ts";
import { signatureAwsError, SignatureError } from "./errors.ts";
import { SignatureVerifier } from "./verify.ts";
import type { VerifyOptions } from "./verify.ts";

/** The cases of AWS's SigV4 test suite, signed by the SDK's own signer as the peer; data of our own. */

const NOW_MS = Date.UTC(2026, 4, 6, 7, 8, 9);
const KEY = { accessKeyId: "AKIATIDEGATETEST0001", secretAccessKey: "secret/with+signs=and0123456789abcdefghi" };

class NodeSha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined ? createHash("sha256") : createHmac("sha256", typeof secret === "string" ? secret : Buffer.from(secret as Uint8Array));
  }
  update(data: Uint8Array | string): void {
    this.#hash.update(data);
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }
  reset(): void {}
}

function credential(change: Partial<Credential> = {}): Credential {
  return {
    ...KEY,
    account: "111122223333",
    principal: { arn: "arn:aws:iam::111122223333:root", userId: "111122223333", accessKeyId: KEY.accessKeyId },
    ...change,
  };
}

function verifier(known: Credential = credential()): SignatureVerifier {
  return new SignatureVerifier({ credentials: { find: (id) => Promise.resolve(id === known.accessKeyId ? known : undefined) } });
}

interface Draft {
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string | string[]>;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

interface Signed {
  readonly request: WireRequest;
  readonly rawHeaders: readonly (readonly [string, string])[];
}

function signer(service: string, sessionToken?: string): SignatureV4 {
  return new SignatureV4({
    credentials: { ...KEY, ...(sessionToken !== undefined && { sessionToken }) },
    region: "eu-central-1",
    service,
    sha256: NodeSha256,
  });
}

function toWire(
  method: string,
  path: string,
  query: Record<string, string | string[] | null> | undefined,
  headers: Record<string, string>,
  body: string,
): Signed {
  const text = Object.entries(query ?? {})
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value ?? ""]).map((item) => `${encodeURIComponent(name)}=${encodeURIComponent(item)}`),
    )
    .join("&");
  const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { request: { method, path, query: text, headers: lower, body: Buffer.from(body) }, rawHeaders: Object.entries(headers) };
}

async function sign(
  draft: Draft,
  options: { readonly atMs?: number; readonly sessionToken?: string; readonly service?: string } = {},
): Promise<Signed> {
  const { method = "POST", path = "/", query = {}, headers = {}, body = "" } = draft;
  const unsigned: HttpRequest = {
    method,
    protocol: "http:",
    hostname: "localhost",
    path,
    query,
    headers: { host: "localhost:4566", ...headers },
    body,
  };
  const signed = await signer(options.service ?? "ecs", options.sessionToken).sign(unsigned, {
    signingDate: new Date(options.atMs ?? NOW_MS),
  });
  return toWire(method, path, query, signed.headers, body);
}

function verify({ request, rawHeaders }: Signed, options: Partial<VerifyOptions> & { readonly by?: SignatureVerifier } = {}): Promise<string> {
  return (options.by ?? verifier()).verify(request, { service: "ecs", nowMs: NOW_MS, rawHeaders, ...options }).then(
    ({ scope }) => `ok ${scope.region}`,
    (error: unknown) => {
      if (error instanceof SignatureError) return `${error.problem}: ${error.message}`;
      throw error;
    },
  );
}

describe("SigV4: what a client signs is taken", () => {
  it.each<[string, Draft]>([
    ["get-vanilla", { method: "GET" }],
    ["get-vanilla-query-order-key-case", { method: "GET", query: { Param2: "value2", Param1: "value1", a: "" } }],
    ["get-vanilla-query-order-value", { method: "GET", query: { Param1: ["value2", "value1"] } }],
    ["get-vanilla-query-unreserved", { method: "GET", query: { "-._~0123456789ABCabc": "-._~0123456789ABCabc" } }],
    ["get-vanilla-utf8-query", { method: "GET", query: { ሴ: "bar baz+/=&%*'()!" } }],
    ["get-utf8", { method: "GET", path: "/%E1%88%B4" }],
    ["get-space", { method: "GET", path: "/example%20space/" }],
    ["get-slashes", { method: "GET", path: "//example//" }],
    ["get-relative", { method: "GET", path: "/example/.." }],
    ["get-slash-dot-slash", { method: "GET", path: "/./" }],
    ["get-path-with-encoded-slash", { method: "GET", path: "/clusters/name%2Fpart" }],
    ["get-header-value-trim", { headers: { "My-Header1": " value1", "my-header2": ' "a   b   c"' } }],
    ["post-x-www-form-urlencoded", { headers: { "content-type": "application/x-www-form-urlencoded" }, body: "Action=X&A.member.1=b c" }],
    ["post-header-key-case", { headers: { "X-Amz-Target": "T.Op", "Content-Type": "application/x-amz-json-1.1" }, body: '{"é":"😀"}' }],
  ])("%s", async (_id, draft) => {
    expect(await verify(await sign(draft))).toBe("ok eu-central-1");
  });

  it("get-header-key-duplicate: values of one name are joined by commas in the order sent", async () => {
    const { request, rawHeaders } = await sign({ headers: { "my-header": "value2,value1" } });
    const split = rawHeaders.flatMap(([name, value]) =>
      name === "my-header" ? value.split(",").map((part) => [name, part] as const) : [[name, value] as const],
    );
    expect(await verify({ request, rawHeaders: split })).toBe("ok eu-central-1");
    expect(await verify({ request, rawHeaders: split.toReversed() })).toMatch(/^mismatch/);
  });

  it("post-sts-header-after: session tokens", async () => {
    const signed = await sign({}, { sessionToken: "token/+=" });
    expect(await verify(signed, { by: verifier(credential({ sessionToken: "token/+=", expirationMs: NOW_MS + 1 })) })).toBe("ok eu-central-1");
    expect(await verify(signed, { by: verifier(credential({ sessionToken: "another" })) })).toBe(
      "invalid-token: The security token included in the request is invalid.",
    );
    expect(await verify(signed, { by: verifier() })).toMatch(/^invalid-token/);
    expect(await verify(await sign({}), { by: verifier(credential({ sessionToken: "token/+=" })) })).toMatch(/^invalid-token/);
    expect(await verify(signed, { by: verifier(credential({ sessionToken: "token/+=", expirationMs: NOW_MS })) })).toBe(
      "expired-token: The security token included in the request is expired",
    );
  });

  it("presigned URLs, until they expire", async () => {
    const presign = async (expiresIn: number): Promise<Signed> => {
      const draft: HttpRequest = {
        method: "GET",
        protocol: "http:",
        hostname: "localhost",
        path: "/",
        query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
        headers: { host: "localhost", "x-k8s-aws-id": "prod" },
      };
      const url = await signer("sts", "tok+en").presign(draft, {
        signingDate: new Date(NOW_MS),
        expiresIn,
        unhoistableHeaders: new Set(["x-k8s-aws-id"]),
      });
      return toWire("GET", "/", url.query, url.headers, "");
    };
    const by = verifier(credential({ sessionToken: "tok+en" }));
    const signed = await presign(60);
    expect(await verify(signed, { by, service: "sts" })).toBe("ok eu-central-1");
    expect(await verify(signed, { by, service: "sts", nowMs: NOW_MS + 60_000 })).toBe("ok eu-central-1");
    expect(await verify(signed, { by, service: "sts", nowMs: NOW_MS + 61_000 })).toBe(
      "skewed: Signature expired: 20260506T070909Z is now earlier than 20260506T070910Z",
    );
    const moved = { ...signed, request: { ...signed.request, query: signed.request.query.replace("X-Amz-Expires=60", "X-Amz-Expires=600") } };
    expect(await verify(moved, { by, service: "sts" })).toMatch(/^mismatch/);
    expect(
      await verify(
        {
          ...signed,
          rawHeaders: [
            ["host", "localhost"],
            ["x-k8s-aws-id", "other"],
          ],
        },
        { by, service: "sts" },
      ),
    ).toMatch(/^mismatch/);
  });
});

describe("SigV4: what is refused", () => {
  const change = (signed: Signed, headers: Record<string, string | undefined>): Signed => {
    const merged = { ...signed.request.headers, ...headers };
    return {
      request: { ...signed.request, headers: merged },
      rawHeaders: Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== undefined),
    };
  };

  it.each<[string, (signed: Signed) => Signed, RegExp]>([
    ["another body", (s) => ({ ...s, request: { ...s.request, body: Buffer.from("{} ") } }), /^mismatch: The provided 'x-amz-content-sha256' header/],
    [
      "another body, hash header gone along",
      (s) => change({ ...s, request: { ...s.request, body: Buffer.from("") } }, { "x-amz-content-sha256": createHash("sha256").digest("hex") }),
      /^mismatch: The request signature we calculated/,
    ],
    ["another method", (s) => ({ ...s, request: { ...s.request, method: "PUT" } }), /^mismatch: The request signature we calculated/],
    ["another path", (s) => ({ ...s, request: { ...s.request, path: "/x" } }), /^mismatch/],
    ["another query", (s) => ({ ...s, request: { ...s.request, query: "a=b" } }), /^mismatch/],
    ["another target", (s) => change(s, { "x-amz-target": "T.DeleteCluster" }), /^mismatch/],
    ["an unsigned payload", (s) => change(s, { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }), /^mismatch/],
    [
      "a token that is not signed",
      (s) => change(s, { "x-amz-security-token": "x" }),
      /^mismatch: There were headers present in the request which were not signed: x-amz-security-token/,
    ],
    [
      "a signature of other letters",
      (s) => change(s, { authorization: s.request.headers["authorization"]!.replace(/Signature=.*/, "Signature=zz") }),
      /^mismatch/,
    ],
    [
      "an unknown key",
      (s) => change(s, { authorization: s.request.headers["authorization"]!.replace(KEY.accessKeyId, "AKIANOBODY") }),
      /^unknown-key: The security token included in the request is invalid\./,
    ],
    [
      "no host among the signed headers",
      (s) => change(s, { authorization: s.request.headers["authorization"]!.replace("host;", "") }),
      /^mismatch: 'Host' or ':authority' must be a 'SignedHeader'/,
    ],
    ["no signature", (s) => change(s, { authorization: undefined }), /^missing: Request is missing Authentication Token/],
    ["another algorithm", (s) => change(s, { authorization: "AWS4-ECDSA-P256-SHA256 x" }), /^incomplete: Unsupported AWS 'algorithm'/],
    [
      "parts missing",
      (s) => change(s, { authorization: "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request", "x-amz-date": undefined }),
      /^incomplete: Authorization header requires 'Signature' parameter\. Authorization header requires 'SignedHeaders' parameter\. Authorization header requires existence/,
    ],
    [
      "a short credential",
      (s) => change(s, { authorization: s.request.headers["authorization"]!.replace("/aws4_request", "") }),
      /^incomplete: Credential must have exactly 5/,
    ],
    [
      "a date of another day",
      (s) => change(s, { authorization: s.request.headers["authorization"]!.replace("20260506", "20260505") }),
      /^mismatch: Date in Credential scope does not match/,
    ],
    ["a date that is none", (s) => change(s, { "x-amz-date": "yesterday" }), /^incomplete: Date must be in ISO-8601 'basic format'. Got 'yesterday'/],
  ])("%s", async (_what, tamper, message) => {
    const signed = await sign({ headers: { "x-amz-target": "T.Op" }, body: "{}" });
    expect(await verify(tamper(signed))).toMatch(message);
  });

  it("another service's scope", async () => {
    expect(await verify(await sign({}, { service: "ecr" }))).toBe("mismatch: Credential should be scoped to correct service: 'ecs'. ");
  });

  it("clocks more than 15 minutes apart, either way", async () => {
    const minute = 60_000;
    expect(await verify(await sign({}, { atMs: NOW_MS - 15 * minute }))).toMatch(/^ok/);
    expect(await verify(await sign({}, { atMs: NOW_MS + 15 * minute }))).toMatch(/^ok/);
    expect(await verify(await sign({}, { atMs: NOW_MS - 16 * minute }))).toBe(
      "skewed: Signature expired: 20260506T065209Z is now earlier than 20260506T065309Z (20260506T070809Z - 15 min.)",
    );
    expect(await verify(await sign({}, { atMs: NOW_MS + 16 * minute }))).toBe(
      "skewed: Signature not yet current: 20260506T072409Z is still later than 20260506T072309Z (20260506T070809Z + 15 min.)",
    );
  });

  it.each([
    ["awsJson1_1", "mismatch", "InvalidSignatureException", 400],
    ["awsJson1_1", "unknown-key", "UnrecognizedClientException", 400],
    ["awsJson1_1", "expired-token", "ExpiredTokenException", 400],
    ["awsQuery", "mismatch", "SignatureDoesNotMatch", 403],
    ["awsQuery", "missing", "MissingAuthenticationToken", 403],
    ["ec2Query", "unknown-key", "AuthFailure", 401],
  ] as const)("%s answers %s as %s", (protocol, problem, code, status) => {
    expect(signatureAwsError(new SignatureError(problem, "words"), protocol)).toMatchObject({ code, httpStatus: status });
  });
});

describe("canonical forms", () => {
  it.each([
    ["", "/"],
    ["/a/./b/../c", "/a/c"],
    ["/..", "/"],
    ["/a%2Fb", "/a%252Fb"],
    ["/a b", "/a%20b"],
    ["//a//b/", "/a/b/"],
  ])("path %s", (path, canonical) => expect(canonicalPath(path)).toBe(canonical));

  it.each([
    ["b=2&a=1&a=0", "a=0&a=1&b=2"],
    ["a", "a="],
    ["a=%7e%2a", "a=~%2A"],
    ["A=1&a=1&X-Amz-Signature=ff", "A=1&a=1"],
    ["a=b=c", "a=b%3Dc"],
  ])("query %s", (query, canonical) => expect(canonicalQuery(query)).toBe(canonical));
});
