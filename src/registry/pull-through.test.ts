import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import Fastify, { type FastifyInstance } from "fastify";
import { afterEach, describe, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { OCI_MANIFEST } from "./manifest-document.ts";
import { ACCOUNT, blobOf, manifestOf, putManifest, REGION, startTestRegistry, type TestBlob, type TestRegistry } from "./test-registry.ts";

/** A public registry with one image and an anonymous token flow. */
interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly requests: string[];
  manifest: TestBlob;
  blobs: ReadonlyMap<string, Buffer>;
  close(): Promise<void>;
}

async function startUpstream(image: { readonly manifest: TestBlob; readonly blobs: readonly TestBlob[] }): Promise<Upstream> {
  const app: FastifyInstance = Fastify({ forceCloseConnections: true });
  const upstream = {
    url: "",
    requests: [] as string[],
    manifest: image.manifest,
    blobs: new Map(image.blobs.map((blob) => [blob.digest, blob.bytes])) as ReadonlyMap<string, Buffer>,
    close: () => app.close(),
    [Symbol.asyncDispose]: () => app.close(),
  };
  app.get("/token", (request, reply) => {
    upstream.requests.push(request.url);
    return reply.send({ token: "anonymous" });
  });
  app.get("/v2/*", (request, reply) => {
    upstream.requests.push(request.url);
    if (request.headers.authorization !== "Bearer anonymous") {
      const challenge = `Bearer realm="${upstream.url}/token",service="test",scope="repository:library/tool:pull"`;
      return reply.code(401).header("www-authenticate", challenge).send({});
    }
    const last = request.url.split("/").at(-1) ?? "";
    const blob = upstream.blobs.get(last);
    if (blob !== undefined) return reply.header("content-length", blob.length).send(Readable.from([blob.subarray(0, 10), blob.subarray(10)]));
    if (last === "1" || last === upstream.manifest.digest) return reply.header("content-type", OCI_MANIFEST).send(upstream.manifest.bytes);
    return reply.code(404).send({ errors: [{ code: "MANIFEST_UNKNOWN" }] });
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  upstream.url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  return upstream;
}

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one[Symbol.asyncDispose]();
});

async function start(): Promise<{ readonly server: TestRegistry; readonly upstream: Upstream; readonly layer: TestBlob; readonly clock: FakeClock }> {
  const [config, layer] = [blobOf(), blobOf(randomBytes(200_000))];
  const upstream = await startUpstream({ manifest: manifestOf(config, [layer]), blobs: [config, layer] });
  const clock = new FakeClock();
  const server = await startTestRegistry({ store: createMemoryStore(), clock, config: { upstreamUrlOf: () => upstream.url } });
  open.push(server, upstream);
  return { server, upstream, layer, clock };
}

const TOOL = "/v2/library/tool";

describe("pull-through", () => {
  it("fetches an image of a public registry by the anonymous token flow, and keeps it", async () => {
    const { server, upstream, layer } = await start();
    const manifest = await server.call(`${TOOL}/manifests/1?ns=docker.io`);
    expect([manifest.status, manifest.headers.get("docker-content-digest")]).toEqual([200, upstream.manifest.digest]);
    const blob = await server.call(`${TOOL}/blobs/${layer.digest}?ns=docker.io`);
    expect(blob.headers.get("content-length")).toBe("200000");
    expect(Buffer.from(await blob.arrayBuffer()).equals(layer.bytes)).toBe(true);
    expect(upstream.requests.filter((url) => url.startsWith("/token"))).toEqual(["/token?service=test&scope=repository%3Alibrary%2Ftool%3Apull"]);
    await upstream.close();
    expect((await server.call(`${TOOL}/manifests/1?ns=docker.io`)).status).toBe(200);
    const range = await server.call(`${TOOL}/blobs/${layer.digest}?ns=docker.io`, { headers: { range: "bytes=5-8" } });
    expect([range.status, Buffer.from(await range.arrayBuffer())]).toEqual([206, layer.bytes.subarray(5, 9)]);
  });

  it("serves kept images without a token, by ns and under the prefix, but fetches only for those who have one", async () => {
    const { server, upstream } = await start();
    expect((await fetch(`${server.url}${TOOL}/manifests/1?ns=docker.io`)).status).toBe(401);
    expect(upstream.requests).toEqual([]);
    await server.call(`${TOOL}/manifests/1?ns=docker.io`);
    expect((await fetch(`${server.url}${TOOL}/manifests/1?ns=registry-1.docker.io`)).status).toBe(200);
    expect((await fetch(`${server.url}/v2/tidegate-public/docker.io/library/tool/manifests/1`)).status).toBe(200);
    expect((await fetch(`${server.url}${TOOL}/manifests/2?ns=docker.io`)).status).toBe(401);
  });

  it("does not take other content for the blob, nor keep it", async () => {
    const { server, upstream, layer } = await start();
    upstream.blobs = new Map([[layer.digest, randomBytes(layer.bytes.length)]]);
    const taken = server.call(`${TOOL}/blobs/${layer.digest}?ns=docker.io`).then(async (response) => (await response.arrayBuffer()).byteLength);
    await expect(taken).rejects.toThrow();
    await upstream.close();
    expect((await server.call(`${TOOL}/blobs/${layer.digest}?ns=docker.io`)).status).toBe(502);
  });

  it("asks again for a fetched tag after a day, and serves the kept one when it gets no answer", async () => {
    const { server, upstream, clock } = await start();
    const digest = async (): Promise<string | null> => (await server.call(`${TOOL}/manifests/1?ns=docker.io`)).headers.get("docker-content-digest");
    const first = await digest();
    upstream.manifest = manifestOf(blobOf(), []);
    expect(await digest()).toBe(first);
    await clock.advance(25 * 60 * 60 * 1000);
    expect(await digest()).toBe(upstream.manifest.digest);
    await upstream.close();
    await clock.advance(25 * 60 * 60 * 1000);
    expect(await digest()).toBe(upstream.manifest.digest);
  });

  it("says which image, which registry and why, when it cannot be had", async () => {
    const { server, upstream } = await start();
    const missing = await server.call(`${TOOL}/manifests/9?ns=docker.io`);
    expect([missing.status, await missing.text()]).toEqual([
      404,
      expect.stringContaining("cannot pull docker.io/library/tool:9 from the registry docker.io"),
    ]);
    await upstream.close();
    const unreachable = await server.call(`${TOOL}/manifests/9?ns=quay.io`);
    expect(unreachable.status).toBe(502);
    expect(await unreachable.text()).toMatch(/cannot pull quay\.io\/library\/tool:9 from the registry quay\.io.*cannot be reached \(.*ECONNREFUSED/);
    await expect(server.registry.resolveImage("ghcr.io/x/y:1", { account: ACCOUNT, region: REGION })).rejects.toThrow("ghcr.io/x/y:1");
  });

  it("calls no addresses, single names or ports that an image name could smuggle in", async () => {
    const { server, upstream } = await start();
    for (const ns of ["10.0.0.1", "169.254.169.254", "metadata", "internal:8080", "evil.example:22", "[::1]"]) {
      const response = await server.call(`${TOOL}/manifests/1?ns=${encodeURIComponent(ns)}`);
      expect([ns, response.status]).not.toEqual([ns, 200]);
    }
    expect(upstream.requests).toEqual([]);
  });

  it("never asks upstream for an image that was seeded here", async () => {
    const { server, upstream } = await start();
    const config = blobOf();
    await server.registry.putPublicBlob("tool:1", config.digest, Readable.from([config.bytes]));
    const manifest = manifestOf(config, []);
    expect(await server.registry.putPublicManifest("tool:1", { bytes: manifest.bytes })).toEqual({
      digest: manifest.digest,
      mediaType: OCI_MANIFEST,
    });
    const got = await server.registry.resolveImage("tool:1", { account: ACCOUNT, region: REGION });
    expect(got.digest).toBe(manifest.digest);
    expect((await server.call(`${TOOL}/manifests/1?ns=docker.io`)).status).toBe(200);
    expect(upstream.requests).toEqual([]);
    expect(await server.registry.listPublicImages()).toMatchObject([{ image: "docker.io/library/tool:1", digest: manifest.digest }]);
    await server.registry.deletePublicImage("docker.io/library/tool:1");
    expect(await server.registry.listPublicImages()).toEqual([]);
  });

  it("takes pushes of public images under the prefix, which no repository may have, and none through ns", async () => {
    const { server } = await start();
    const blob = blobOf();
    const path = "tidegate-public/docker.io/library/base";
    const pushed = await server.call(`/v2/${path}/blobs/uploads/?digest=${blob.digest}`, { method: "POST", body: new Uint8Array(blob.bytes) });
    expect(pushed.status).toBe(201);
    expect((await putManifest(server, `${path}/manifests/1`, manifestOf(blob, []))).status).toBe(201);
    expect((await server.call("/v2/library/base/manifests/1?ns=docker.io")).status).toBe(200);
    const create = server.registry.repositories.create({ account: ACCOUNT, region: REGION, name: path });
    await expect(create).rejects.toThrow("reserved");
    expect((await server.call("/v2/library/base/blobs/uploads/?ns=docker.io", { method: "POST" })).status).toBe(405);
    const foreign = server.registry.tokens.issue({ account: "999999999999", region: REGION, principalArn: "arn" });
    const headers = { authorization: `Basic ${foreign.authorizationToken}` };
    expect((await fetch(`${server.url}/v2/${path}/blobs/uploads/`, { method: "POST", headers })).status).toBe(403);
    expect((await fetch(`${server.url}/v2/${path}/manifests/1`, { headers })).status).toBe(200);
  });
});
