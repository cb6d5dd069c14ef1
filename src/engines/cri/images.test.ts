import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { criHarness } from "../../../test/support/cri-harness.ts";
import type { CriHarness } from "../../../test/support/cri-harness.ts";
import { ociArchive } from "./oci-archive.ts";
import type { OciArchive } from "./oci-archive.ts";

/** More than the kernel's buffers hold. */
const LARGE_BYTES = 8 * 1024 ** 2;

/** A registry of one password and a few images, that counts what it is asked. */
class StubRegistry {
  readonly requests: string[] = [];
  readonly tags = new Map<string, OciArchive>();
  /** How many more answers with a blob break off in the middle, by a reset. */
  resets = 0;
  readonly #blobs = new Map<string, Buffer>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  push(name: string, archive: OciArchive): void {
    this.tags.set(name, archive);
    for (const [digest, blob] of archive.blobs) this.#blobs.set(digest, blob);
  }

  count(pattern: RegExp): number {
    return this.requests.filter((request) => pattern.test(request)).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", "http://registry");
    const [, repository = "", kind, reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? [];
    this.requests.push(`${request.method} ${url.pathname}${url.search}`);
    const wanted = `Basic ${Buffer.from("AWS:secret").toString("base64")}`;
    if (repository.startsWith("private/") && request.headers.authorization !== wanted) {
      return void response
        .writeHead(401, { "www-authenticate": 'Basic realm="registry"' })
        .end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
    if (repository.startsWith("broken/")) return void response.writeHead(500).end();
    const digest = reference.startsWith("sha256:") ? reference : this.tags.get(`${repository}:${reference}`)?.digest;
    const blob = this.#blobs.get(digest ?? "");
    if (kind === undefined || digest === undefined || blob === undefined) {
      return void response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    }
    const type = kind === "manifests" ? "application/vnd.oci.image.manifest.v1+json" : "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": blob.length, "docker-content-digest": digest });
    if (kind === "blobs" && blob.length > LARGE_BYTES && this.resets > 0) {
      this.resets -= 1;
      return void response.write(blob.subarray(0, blob.length / 2), () => request.socket.resetAndDestroy());
    }
    response.end(request.method === "HEAD" ? undefined : blob);
  }
}

const registry = new StubRegistry();
let harness: CriHarness;
let port: number;

beforeAll(async () => {
  port = await registry.listen();
  harness = await criHarness({ registryPort: port });
});
beforeEach(() => void registry.requests.splice(0));
afterAll(async () => {
  await harness.dispose();
  await registry.close();
});

function version(text: string): OciArchive {
  return ociArchive("any:1", [{ path: "version", content: text }], {
    entryPoint: ["/app"],
    command: ["serve"],
    environment: ["A=1"],
    user: "7:8",
    stopSignal: "SIGQUIT",
  });
}

test("a tag becomes a digest, and the image's facts come with it; the host asked for is in ns", async () => {
  const archive = version("facts");
  registry.push("shop/api:v1", archive);
  const info = await harness.runtime().pullImage({ image: "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/api:v1", policy: "if-not-present" });
  expect(info).toEqual({
    reference: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    digest: archive.digest,
    environment: ["A=1"],
    user: "7:8",
    stopSignal: "SIGQUIT",
    entryPoint: ["/app"],
    command: ["serve"],
  });
  expect(registry.count(/^HEAD \/v2\/shop\/api\/manifests\/v1\?ns=123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com$/)).toBe(1);
});

test("one that is present is not asked for again, unless the policy is always: then its tag, but not its layers", async () => {
  registry.push("shop/web:v1", version("one"));
  const image = "localhost:4566/shop/web:v1";
  const first = await harness.runtime().pullImage({ image, policy: "if-not-present" });
  registry.requests.splice(0);
  expect(await harness.runtime().pullImage({ image, policy: "if-not-present" })).toEqual(first);
  expect(await harness.runtime().pullImage({ image, policy: "never" })).toEqual(first);
  expect(registry.requests).toEqual([]);

  expect(await harness.runtime().pullImage({ image, policy: "always" })).toEqual(first);
  expect(registry.count(/manifests\/v1/)).toBe(1);
  expect(registry.count(/blobs/)).toBe(0);

  registry.push("shop/web:v1", version("two"));
  const moved = await harness.runtime().pullImage({ image, policy: "always" });
  expect(moved.digest).toBe(registry.tags.get("shop/web:v1")?.digest);
  expect(moved.digest).not.toBe(first.digest);
});

test("a pinned digest wins over the tag, and is never asked for twice", async () => {
  const old = version("pinned");
  registry.push("shop/pin:v1", old);
  registry.push("shop/pin:v1", version("newer"));
  const request = { image: "localhost:4566/shop/pin:v1", digest: old.digest, policy: "always" } as const;
  expect((await harness.runtime().pullImage(request)).digest).toBe(old.digest);
  registry.requests.splice(0);
  expect((await harness.runtime().pullImage(request)).digest).toBe(old.digest);
  expect(registry.requests).toEqual([]);
});

test("concurrent pulls of one image are one", async () => {
  registry.push("shop/many:v1", version("many"));
  const all = await Promise.all(
    Array.from({ length: 8 }, () => harness.runtime().pullImage({ image: "localhost:4566/shop/many:v1", policy: "always" })),
  );
  expect(new Set(all.map((info) => info.reference)).size).toBe(1);
  expect(registry.count(/HEAD .*manifests\/v1/)).toBe(1);
});

test("credentials go with the pull they came with", async () => {
  registry.push("private/app:v1", version("private"));
  const image = "localhost:4566/private/app:v1";
  const denied = {
    kind: "invalid",
    message: expect.stringMatching(/cannot pull image localhost:4566\/private\/app:v1: .*(401|authorization failed)/),
  };
  await expect(harness.runtime().pullImage({ image, policy: "always" })).rejects.toMatchObject(denied);
  const wrong = { username: "AWS", password: "wrong" };
  await expect(harness.runtime().pullImage({ image, policy: "always", credentials: wrong })).rejects.toMatchObject(denied);
  const right = { username: "AWS", password: "secret" };
  expect((await harness.runtime().pullImage({ image, policy: "always", credentials: right })).user).toBe("7:8");
});

test("failures say what the registry said", async () => {
  const pull = (image: string): Promise<unknown> => harness.runtime().pullImage({ image, policy: "if-not-present" });
  await expect(pull("localhost:4566/shop/api:nope")).rejects.toMatchObject({ kind: "not-found", message: expect.stringContaining("not found") });
  await expect(pull("localhost:4566/broken/x:1")).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("500") });
  await expect(pull("localhost:4566/Bad/x:1")).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining("invalid reference format"),
  });
});

test("a registry that is not there is unavailable", async () => {
  const other = await criHarness({ registryPort: 9 });
  try {
    const pull = other.runtime().pullImage({ image: "localhost:4566/shop/api:v1", policy: "always" });
    await expect(pull).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("connection refused") });
  } finally {
    await other.dispose();
  }
});

test("a registry that resets the connection in the middle of a layer is said, and the pull works once it does not", async () => {
  const content = randomBytes(LARGE_BYTES * 2).toString("hex");
  const archive = ociArchive("any:1", [{ path: "data", content }], {});
  registry.push("shop/large:v1", archive);
  const pull = (): Promise<unknown> => harness.runtime().pullImage({ image: "localhost:4566/shop/large:v1", policy: "if-not-present" });
  registry.resets = Infinity;
  await expect(pull()).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringMatching(/^cannot pull image localhost:4566\/shop\/large:v1: .*(reset by peer|EOF)/),
  });
  registry.resets = 1;
  await expect(pull().catch(pull)).resolves.toMatchObject({ digest: archive.digest });
  expect(registry.resets).toBe(0);
});

test("an image that is being pulled, or was asked for while it was listed, is not removed", async () => {
  const runtime = harness.runtime();
  registry.push("shop/held:v1", version("held"));
  const image = "localhost:4566/shop/held:v1";
  const { reference } = await runtime.pullImage({ image, policy: "always" });
  const [, removed] = await Promise.all([runtime.pullImage({ image, policy: "always" }), runtime.removeImage(reference)]);
  expect(removed).toBe(false);
  expect(await runtime.pullImage({ image, policy: "never" })).toMatchObject({ reference });
  // The other way round: who asks while it goes waits, and pulls it again.
  const [gone, again] = await Promise.all([runtime.removeImage(reference), runtime.pullImage({ image, policy: "if-not-present" })]);
  expect([gone, again.reference]).toEqual([expect.any(Boolean), reference]);
  expect(await runtime.pullImage({ image, policy: "never" })).toMatchObject({ reference });
  const found = (await runtime.listImages()).find((each) => each.id === reference);
  expect(found?.idleMs).toBeLessThan(60_000);
  expect(found?.digests).toEqual([again.digest]);
});
