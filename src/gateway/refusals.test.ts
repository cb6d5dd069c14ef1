import { createHash, createHmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Credential } from "../contracts/credentials.ts";
import { systemClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import type { LogFields, Logger } from "../core/logger.ts";
import { testService } from "../protocol/test-model.ts";
import { createGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";

/** What a client that does something wrong is told, over HTTP, in each protocol that AWS's services speak here. */

const KEY: Credential = {
  accessKeyId: "AKIAREFUSALTEST00001",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  account: "444455556666",
  principal: { arn: "arn:aws:iam::444455556666:user/dev", userId: "AIDADEV", accessKeyId: "AKIAREFUSALTEST00001" },
};
const EXPIRED: Credential = { ...KEY, accessKeyId: "ASIAREFUSALTEST00001", sessionToken: "the-token", expirationMs: Date.UTC(2026, 0, 1) };

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

interface Line {
  readonly message: string;
  readonly fields: LogFields;
}
const lines: Line[] = [];
function recordingLogger(own: LogFields = {}): Logger {
  const add = (message: string, fields: LogFields = {}): void => void lines.push({ message, fields: { ...own, ...fields } });
  return { debug: add, info: add, warn: add, error: add, child: (fields) => recordingLogger({ ...own, ...fields }) };
}

const PROTOCOLS = ["awsJson1_1", "awsQuery", "ec2Query"] as const;
type Protocol = (typeof PROTOCOLS)[number];

let gateway: Gateway;
let port = 0;
beforeAll(async () => {
  gateway = createGateway({
    config: { instanceId: "abc123", account: "000000000000", region: "eu-west-1", auth: "iam" },
    services: PROTOCOLS.map((protocol) => testService({ protocol, name: protocol, signingName: protocol.toLowerCase(), targetPrefix: protocol })),
    credentials: { find: (id) => Promise.resolve([KEY, EXPIRED].find(({ accessKeyId }) => accessKeyId === id)) },
    clock: systemClock,
    ids: seededIds("refusals"),
    logger: recordingLogger(),
  });
  port = (await gateway.listen("127.0.0.1", 0)).port;
});
afterAll(() => gateway.close());

interface Ask {
  readonly operation?: string;
  /** As JSON, and as a form. */
  readonly input?: readonly [json: string, form: string];
  readonly credential?: Credential;
  readonly secret?: string;
  readonly presignedSeconds?: number;
  readonly signedAtMs?: number;
}

const GOOD = ['{"name":"n"}', "name=n&Name=n"] as const;

async function ask(protocol: Protocol, what: Ask): Promise<{ readonly status: number; readonly requestId: string | null; readonly text: string }> {
  const { operation = "Echo", credential = KEY } = what;
  const [json, form] = what.input ?? GOOD;
  const isJson = protocol === "awsJson1_1";
  // ec2Query refuses parameters that it does not know; the other two have one spelling each.
  const members = protocol === "ec2Query" ? form.replace(/(^|&)[a-z][^&]*/g, "") : form.replace(/(^|&)[A-Z][^&]*/g, "");
  const parameters = `Action=${operation}&Version=2026-01-01&${members}`.replace(/&+/g, "&").replace(/&$/, "");
  const presigned = what.presignedSeconds !== undefined;
  const request = {
    method: presigned && !isJson ? "GET" : "POST",
    protocol: "http:",
    hostname: "127.0.0.1",
    path: "/",
    query: presigned && !isJson ? Object.fromEntries(new URLSearchParams(parameters)) : {},
    headers: {
      host: `127.0.0.1:${port}`,
      ...(isJson && { "x-amz-target": `${protocol}.${operation}`, "content-type": "application/x-amz-json-1.1" }),
      ...(!isJson && !presigned && { "content-type": "application/x-www-form-urlencoded" }),
    },
    body: isJson ? json : presigned ? "" : parameters,
  };
  const signer = new SignatureV4({
    credentials: { ...credential, secretAccessKey: what.secret ?? credential.secretAccessKey },
    region: "us-east-2",
    service: protocol.toLowerCase(),
    sha256: NodeSha256,
  });
  const signingDate = new Date(what.signedAtMs ?? systemClock.nowMs());
  const signed = presigned
    ? await signer.presign(request, { expiresIn: what.presignedSeconds, signingDate, unhoistableHeaders: new Set(["x-amz-target"]) })
    : await signer.sign(request, { signingDate });
  const { host: _host, ...headers } = { ...request.headers, ...(signed.headers as Record<string, string>) };
  const query = new URLSearchParams(signed.query as Record<string, string>).toString();
  const body = request.method === "GET" ? undefined : request.body;
  const answer = await fetch(`http://127.0.0.1:${port}/${query === "" ? "" : `?${query}`}`, { method: request.method, headers, body });
  const text = await answer.text();
  return { status: answer.status, text, requestId: answer.headers.get("x-amzn-requestid") };
}

type Case = readonly [string, Ask, Readonly<Record<Protocol, readonly [status: number, code: string]>>];
const CASES: readonly Case[] = [
  [
    "an unknown operation",
    { operation: "Nonsense" },
    { awsJson1_1: [400, "UnknownOperationException"], awsQuery: [400, "InvalidAction"], ec2Query: [400, "InvalidAction"] },
  ],
  [
    "a missing member",
    { input: ["{}", ""] },
    { awsJson1_1: [400, "ValidationException"], awsQuery: [400, "ValidationError"], ec2Query: [400, "MissingParameter"] },
  ],
  [
    "a wrong type",
    { input: ['{"name":"n","count":"many"}', "name=n&count=many&Name=n&Count=many"] },
    { awsJson1_1: [400, "SerializationException"], awsQuery: [400, "MalformedInput"], ec2Query: [400, "InvalidParameterValue"] },
  ],
  [
    "a bad signature",
    { secret: "not the secret" },
    { awsJson1_1: [400, "InvalidSignatureException"], awsQuery: [403, "SignatureDoesNotMatch"], ec2Query: [403, "SignatureDoesNotMatch"] },
  ],
  [
    "an expired token",
    { credential: EXPIRED },
    { awsJson1_1: [400, "ExpiredTokenException"], awsQuery: [403, "ExpiredToken"], ec2Query: [400, "RequestExpired"] },
  ],
  [
    "a clock that is an hour behind",
    { signedAtMs: systemClock.nowMs() - 3_600_000 },
    { awsJson1_1: [400, "InvalidSignatureException"], awsQuery: [403, "SignatureDoesNotMatch"], ec2Query: [400, "RequestExpired"] },
  ],
  [
    "a presigned URL that is over",
    { presignedSeconds: 60, signedAtMs: systemClock.nowMs() - 120_000 },
    { awsJson1_1: [400, "InvalidSignatureException"], awsQuery: [403, "SignatureDoesNotMatch"], ec2Query: [400, "RequestExpired"] },
  ],
];

describe.each(PROTOCOLS)("%s", (protocol) => {
  it.each(CASES)("tells a client of %s in AWS's words, with one access line", async (_what, call, expected) => {
    lines.length = 0;
    const answer = await ask(protocol, call);
    const [status, code] = expected[protocol];
    expect([answer.status, codeOf(protocol, answer.text)]).toEqual([status, code]);
    expect(answer.text).not.toContain(KEY.secretAccessKey);
    expect(lines.map(({ message, fields }) => [message, fields["status"], fields["errorCode"]])).toEqual([["request", status, code]]);
    expect(JSON.stringify(lines)).not.toContain(EXPIRED.sessionToken);
  });

  it("takes the same request in good order, by header and presigned", async () => {
    for (const call of [{}, { presignedSeconds: 60 }]) {
      lines.length = 0;
      const answer = await ask(protocol, call);
      expect(answer).toMatchObject({
        status: 200,
        text: expect.stringContaining(protocol === "awsJson1_1" ? '"name":"n"' : "<name>n</name>") as string,
      });
      expect(lines).toEqual([
        { message: "request", fields: expect.objectContaining({ requestId: answer.requestId, operation: "Echo", status: 200 }) as LogFields },
      ]);
    }
  });
});

function codeOf(protocol: Protocol, text: string): string | undefined {
  return protocol === "awsJson1_1" ? (JSON.parse(text) as { __type: string }).__type.split("#").at(-1) : /<Code>(\w+)<\/Code>/.exec(text)?.[1];
}
