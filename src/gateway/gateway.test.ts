import { request as httpRequest } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { SignatureV4 } from "@smithy/signature-v4";
import { createHash, createHmac } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { Credential } from "../contracts/credentials.ts";
import type { RequestContext } from "../contracts/service.ts";
import { systemClock } from "../core/clock.ts";
import { seededIds } from "../core/ids.ts";
import type { LogFields, Logger } from "../core/logger.ts";
import { isProblem } from "../core/problem.ts";
import { testService } from "../protocol/test-model.ts";
import { createGateway } from "./gateway.ts";
import type { Gateway } from "./gateway.ts";
import type { GatewayOptions } from "./options.ts";

const CREDENTIAL: Credential = {
  accessKeyId: "AKIAGATEWAYTEST00001",
  secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  account: "444455556666",
  principal: { arn: "arn:aws:iam::444455556666:user/dev", userId: "AIDADEV", accessKeyId: "AKIAGATEWAYTEST00001" },
};

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

interface Lines {
  readonly logger: Logger;
  readonly lines: { readonly message: string; readonly fields: LogFields }[];
}

function recording(): Lines {
  const lines: Lines["lines"] = [];
  const at = (own: LogFields): Logger => {
    const add = (message: string, fields: LogFields = {}): void => void lines.push({ message, fields: { ...own, ...fields } });
    return { debug: add, info: add, warn: add, error: add, child: (fields) => at({ ...own, ...fields }) };
  };
  return { logger: at({}), lines };
}

const open: Gateway[] = [];
afterEach(async () => {
  for (const gateway of open.splice(0)) await gateway.close();
});

let lastContext: RequestContext | undefined;
const remember = (input: unknown, context: RequestContext): Promise<unknown> => {
  lastContext = context;
  return Promise.resolve(input);
};

async function start(
  change: Partial<GatewayOptions> = {},
  mount?: (gateway: Gateway) => void,
): Promise<{ readonly url: string; readonly port: number; readonly gateway: Gateway } & Lines> {
  const log = recording();
  const gateway = createGateway({
    config: { instanceId: "abc123", account: "000000000000", region: "eu-west-1", auth: "iam" },
    services: [
      testService({ protocol: "awsJson1_1" }, { Echo: remember }),
      testService(
        { protocol: "awsQuery", name: "test-query", signingName: "testquery", apiVersion: "2010-01-01", targetPrefix: undefined },
        { Echo: remember },
      ),
    ],
    credentials: { find: (id) => Promise.resolve(id === CREDENTIAL.accessKeyId ? CREDENTIAL : undefined) },
    clock: systemClock,
    ids: seededIds("gateway"),
    logger: log.logger,
    ...change,
  });
  open.push(gateway);
  mount?.(gateway);
  const { port } = await gateway.listen("127.0.0.1", 0);
  return { url: `http://127.0.0.1:${port}`, port, gateway, ...log };
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly service?: string;
  readonly region?: string;
}

async function signed(port: number, call: Call): Promise<Record<string, string>> {
  const credentials = { accessKeyId: CREDENTIAL.accessKeyId, secretAccessKey: CREDENTIAL.secretAccessKey };
  const signer = new SignatureV4({ credentials, region: call.region ?? "us-east-2", service: call.service ?? "test", sha256: NodeSha256 });
  const { method = "POST", path = "/", query = {}, headers = {}, body = "" } = call;
  const request = await signer.sign({
    method,
    protocol: "http:",
    hostname: "127.0.0.1",
    path,
    query,
    headers: { host: `127.0.0.1:${port}`, ...headers },
    body,
  });
  return request.headers;
}

async function send(port: number, call: Call, sign = true): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
  const headers: Record<string, string> = sign ? await signed(port, call) : { ...call.headers };
  delete headers["host"];
  const query = call.query === undefined ? "" : `?${new URLSearchParams(call.query).toString()}`;
  const { method = "POST", body } = call;
  const response = await fetch(`http://127.0.0.1:${port}${call.path ?? "/"}${query}`, {
    method,
    headers,
    ...(method !== "GET" && { body: body ?? "" }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const echo: Call = { headers: { "x-amz-target": "Test_20260101.Echo", "content-type": "application/x-amz-json-1.1" }, body: '{"name":"n"}' };
const query: Call = {
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: "Action=Echo&Version=2010-01-01&name=n",
  service: "testquery",
};

describe("gateway: the chain", () => {
  it("serves a signed JSON request in the scope of its key and region, with one access line", async () => {
    const { port, lines } = await start();
    const answer = await send(port, echo);
    expect(answer).toMatchObject({ status: 200, text: '{"name":"n"}' });
    const requestId = answer.headers.get("x-amzn-requestid");
    expect(lastContext).toMatchObject({
      account: "444455556666",
      region: "us-east-2",
      requestId,
      principal: CREDENTIAL.principal,
      host: `127.0.0.1:${port}`,
    });
    expect(lines).toEqual([
      {
        message: "request",
        fields: expect.objectContaining({
          requestId,
          account: "444455556666",
          region: "us-east-2",
          service: "test-service",
          operation: "Echo",
          status: 200,
        }) as LogFields,
      },
    ]);
  });

  it("serves a Query request, by POST and by GET", async () => {
    const { port } = await start();
    expect((await send(port, query)).text).toContain("<EchoResult><name>n</name></EchoResult>");
    const get = await send(port, { method: "GET", query: { Action: "Echo", Version: "2010-01-01", name: "g" }, service: "testquery" });
    expect(get.text).toContain("<EchoResult><name>g</name></EchoResult>");
  });

  it.each<[string, Call, boolean, number, RegExp]>([
    ["no signature, JSON", echo, false, 400, /"__type":"MissingAuthenticationTokenException"/],
    ["no signature, Query", query, false, 403, /<Code>MissingAuthenticationToken<\/Code>/],
    [
      "another service's scope",
      { ...echo, service: "other" },
      true,
      400,
      /InvalidSignatureException.*Credential should be scoped to correct service: 'test'/,
    ],
    ["unknown operation", { ...echo, headers: { "x-amz-target": "Test_20260101.Nope" } }, true, 400, /UnknownOperationException/],
    [
      "operation not built",
      { ...echo, headers: { "x-amz-target": "Test_20260101.Unbuilt" } },
      true,
      400,
      /The operation Unbuilt of test-service is not built in Tidegate yet/,
    ],
    ["missing member", { ...echo, body: "{}" }, true, 400, /ValidationException.*'name'/],
    ["malformed body", { ...echo, body: "{" }, true, 400, /SerializationException/],
    ["a service that is not here", { service: "s3", path: "/bucket", method: "GET" }, true, 404, /does not serve 's3'/],
    ["an unknown path", { path: "/nowhere", method: "GET" }, false, 404, /Nothing is served at GET \/nowhere/],
    ["an unknown target", { headers: { "x-amz-target": "Other.Op" } }, false, 404, /serves nothing under the target 'Other.Op'/],
  ])("refuses %s", async (_what, call, sign, status, text) => {
    const { port, lines } = await start();
    const answer = await send(port, call, sign);
    expect(answer.status).toBe(status);
    expect(answer.text).toMatch(text);
    expect(answer.headers.get("x-amzn-requestid")).toMatch(/^[0-9a-f-]{36}$/);
    expect(lines.filter(({ message }) => message === "request")).toHaveLength(1);
  });

  it("a failure inside answers 500 with the request id; the details are in the log alone", async () => {
    const { port, lines } = await start({
      services: [testService({ protocol: "awsJson1_1" }, { Echo: () => Promise.reject(new Error("the disk is on fire")) })],
    });
    const answer = await send(port, echo);
    expect(answer.status).toBe(500);
    const requestId = answer.headers.get("x-amzn-requestid")!;
    expect(answer.text).toContain(requestId);
    expect(answer.text).not.toContain("fire");
    const line = lines.find(({ message }) => message === "request failed");
    expect(line?.fields).toMatchObject({ requestId, err: expect.objectContaining({ message: "the disk is on fire" }) as unknown });
  });

  it("auth none asks for no signature; region from the credential if there is one, else the default", async () => {
    const { port } = await start({ config: { instanceId: "abc123", account: "000000000000", region: "eu-west-1", auth: "none" } });
    expect((await send(port, echo, false)).status).toBe(200);
    expect(lastContext).toMatchObject({ account: "000000000000", region: "eu-west-1", principal: { arn: "arn:aws:iam::000000000000:root" } });
    expect((await send(port, query, false)).text).toContain("<name>n</name>");
    const authorization = "AWS4-HMAC-SHA256 Credential=anybody/20260101/ap-south-1/test/aws4_request, SignedHeaders=host, Signature=0";
    expect((await send(port, { ...echo, headers: { ...echo.headers, authorization } }, false)).status).toBe(200);
    expect(lastContext).toMatchObject({ account: "000000000000", region: "ap-south-1" });
  });

  it("a body too large is refused before it is read, one that is gzip is read", async () => {
    const { port } = await start({ maxBodyBytes: 1000 });
    const answer = await send(port, { ...echo, body: JSON.stringify({ name: "x".repeat(2000) }) });
    expect(answer.status).toBe(413);
    expect(answer.text).toMatch(/RequestEntityTooLargeException/);
    const zipped = { ...echo, headers: { ...echo.headers, "content-encoding": "gzip" }, body: gzipSync('{"name":"zipped"}') };
    expect((await send(port, zipped)).text).toBe('{"name":"zipped"}');
    const bomb = { ...zipped, body: gzipSync(JSON.stringify({ name: "x".repeat(100_000) })) };
    expect((await send(port, bomb)).text).toMatch(/SerializationException/);
  });

  it("a service whose schemas cannot be loaded fails that request, and is tried again at the next", async () => {
    let loads = 0;
    const working = testService({ protocol: "awsJson1_1" });
    const flaky = { ...working, loadSchemas: () => (++loads === 1 ? Promise.reject(new Error("disk")) : working.loadSchemas()) };
    const { port } = await start({ services: [flaky] });
    expect((await send(port, echo)).status).toBe(500);
    expect((await send(port, echo)).status).toBe(200);
    expect((await send(port, echo)).status).toBe(200);
    expect(loads).toBe(2);
  });
});

describe("gateway: the listener", () => {
  it("healthz and metrics", async () => {
    const seen: unknown[] = [];
    const metrics = {
      observe: (figures: unknown) => void seen.push(figures),
      render: () => Promise.resolve({ contentType: "text/plain", body: "up 1\n" }),
    };
    let healthy = true;
    const { port, url } = await start({ metrics, health: () => Promise.resolve({ healthy, details: { engine: "cri" } }) });
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.json()]).toEqual([200, { status: "ok", instanceId: "abc123", engine: "cri" }]);
    healthy = false;
    expect((await fetch(`${url}/healthz`)).status).toBe(503);
    await send(port, echo);
    expect(seen).toMatchObject([{ service: "test-service", operation: "Echo", status: 200 }]);
    expect(await (await fetch(`${url}/metrics`)).text()).toBe("up 1\n");
  });

  it("serves the same on several addresses; plugins' paths go to the plugins", async () => {
    const { gateway } = await start({}, ({ fastify }) => fastify.get("/v2/*", async () => ({ registry: true })));
    const second = await gateway.listen("127.0.0.1", 0);
    expect(await (await fetch(`http://127.0.0.1:${second.port}/v2/x/y`)).json()).toEqual({ registry: true });
    expect((await send(second.port, echo)).status).toBe(200);
    expect(gateway.listeners()).toHaveLength(2);
    await second.close();
    await expect(fetch(`http://127.0.0.1:${second.port}/healthz`)).rejects.toThrow();
    expect(gateway.listeners()).toHaveLength(1);
  });

  it("a port that is taken is a conflict, in words", async () => {
    const { gateway, port } = await start();
    await expect(gateway.listen("127.0.0.1", port)).rejects.toSatisfy(
      (error) => isProblem(error, "conflict") && error.message.includes(String(port)),
    );
  });

  it("answers Expect: 100-continue before the body is sent", async () => {
    const { port } = await start();
    const headers = await signed(port, echo);
    const answered = Promise.withResolvers<IncomingMessage>();
    const request = httpRequest(
      { port, host: "127.0.0.1", method: "POST", path: "/", headers: { ...headers, expect: "100-continue", "content-length": "12" } },
      answered.resolve,
    );
    request.on("error", answered.reject);
    const continued = new Promise<void>((resolve) => request.once("continue", resolve));
    request.flushHeaders();
    await continued;
    request.end('{"name":"n"}');
    const response = await answered.promise;
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  it("close still answers, for a while, on a connection that was open before, and says that it is the last answer there", async () => {
    const { port, gateway } = await start({ idleGraceMs: 10_000 });
    const kept = connect(port, "127.0.0.1");
    let text = "";
    kept.on("data", (chunk: Buffer) => (text += chunk.toString()));
    const ended = new Promise((resolve) => kept.once("end", resolve));
    await new Promise((resolve) => kept.once("connect", resolve));
    // The server has the connection once it has answered on another one that came after it.
    expect((await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: "close" } })).status).toBe(200);
    const closing = gateway.close();
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
    kept.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    await ended;
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.toLowerCase()).toContain("connection: close");
    await closing;
  });

  it("close lets a request in flight finish, takes no new one, and does not wait for idle connections", async () => {
    const entered = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    const slow = testService(
      { protocol: "awsJson1_1" },
      {
        Echo: async (input) => {
          entered.resolve();
          await release.promise;
          return input;
        },
      },
    );
    const { port, gateway } = await start({ services: [slow] });
    const idle = connect(port, "127.0.0.1");
    idle.resume();
    await new Promise((resolve) => idle.once("connect", resolve));
    const inFlight = send(port, echo);
    await entered.promise;
    const closing = gateway.close();
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
    release.resolve();
    expect((await inFlight).status).toBe(200);
    await closing;
    await new Promise((resolve) => (idle.closed ? resolve(undefined) : idle.once("close", resolve)));
  });
});
