import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify from "fastify";
import { afterEach, expect, it } from "vitest";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { ACCOUNT, blobOf, manifestOf, REGION, startTestRegistry, type TestBlob, type TestRegistry } from "./test-registry.ts";

const LOGIN = { registry: "registry.example.com", username: "ann", password: "s3cret" };
const IMAGE = "registry.example.com/team/app:1";
const PATH = "/v2/team/app";
const NS = "?ns=registry.example.com";
const basic = (username: string, password: string): string => `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]();
});

/** A registry for one user, who logs in to it, or to its token server. */
async function start(way: "basic" | "bearer"): Promise<{ readonly server: TestRegistry; readonly manifest: TestBlob; readonly layer: TestBlob }> {
  const [config, layer] = [blobOf(), blobOf(randomBytes(100_000))];
  const manifest = manifestOf(config, [layer]);
  const app = Fastify({ forceCloseConnections: true });
  const own = basic(LOGIN.username, LOGIN.password);
  app.get("/token", (request, reply) => (request.headers.authorization === own ? reply.send({ token: "opens" }) : reply.code(401).send()));
  app.get("/v2/*", (request, reply) => {
    const { port } = app.server.address() as AddressInfo;
    const bearer = `Bearer realm="http://127.0.0.1:${port}/token",service="test"`;
    if (request.headers.authorization !== (way === "basic" ? own : "Bearer opens"))
      return reply
        .code(401)
        .header("www-authenticate", way === "basic" ? 'Basic realm="private"' : bearer)
        .send();
    if (request.url === `${PATH}/manifests/1` || request.url === `${PATH}/manifests/${manifest.digest}`)
      return reply.header("content-type", "application/vnd.oci.image.manifest.v1+json").send(manifest.bytes);
    return request.url === `${PATH}/blobs/${layer.digest}` ? reply.send(layer.bytes) : reply.code(404).send();
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => url } });
  open.push(server, { [Symbol.asyncDispose]: () => app.close() });
  return { server, manifest, layer };
}

it.each(["basic", "bearer"] as const)("an image of a private registry is handed on to who has the login, by %s, and kept for nobody", async (way) => {
  const { server, manifest, layer } = await start(way);
  const wrong = { ...LOGIN, password: "guessed" };
  const opened = await server.registry.resolveByLogin(IMAGE, [wrong, LOGIN]);
  expect(opened?.digest).toBe(manifest.digest);
  const as = (password: string) => ({ headers: { authorization: basic("AWS", password) } });
  const ann = as(opened?.password ?? "");
  const read = (path: string, init?: RequestInit): Promise<Response> => fetch(`${server.url}${PATH}/${path}${NS}`, init);
  for (const reference of ["1", manifest.digest]) {
    const answer = await read(`manifests/${reference}`, ann);
    expect([answer.status, answer.headers.get("docker-content-digest")]).toEqual([200, manifest.digest]);
  }
  const head = await read(`manifests/${manifest.digest}`, { ...ann, method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(manifest.bytes.length)]);
  expect(Buffer.from(await (await read(`blobs/${layer.digest}`, ann)).arrayBuffer()).equals(layer.bytes)).toBe(true);
  // Who shows nothing is asked for a login; whose account it is, and whose own login opens nothing, gets nothing.
  expect((await read(`manifests/${manifest.digest}`)).status).toBe(401);
  const { password } = server.registry.tokens.issue({ account: ACCOUNT, region: REGION, principalArn: "x" });
  for (const other of [as(password), as(server.registry.tokens.issue({ account: "login-of-nobody", region: "login", principalArn: "x" }).password)]) {
    expect((await read(`manifests/${manifest.digest}`, other)).ok).toBe(false);
    expect((await read(`blobs/${layer.digest}`, other)).ok).toBe(false);
  }
  expect((await read(`manifests/${manifest.digest}`, { ...ann, method: "PUT", body: manifest.bytes })).ok).toBe(false);
  expect(await server.registry.listPublicImages()).toEqual([]);
  // The login opens nothing of this registry's own.
  expect((await fetch(`${server.url}/v2/mine/manifests/1`, ann)).ok).toBe(false);
});

it("says what is wrong when a token server's answer is none", async () => {
  const app = Fastify({ forceCloseConnections: true });
  app.get("/token", (_request, reply) => reply.type("text/html").send("<p>sign in</p>"));
  app.get("/v2/*", (_request, reply) => {
    const { port } = app.server.address() as AddressInfo;
    return reply.code(401).header("www-authenticate", `Bearer realm="http://127.0.0.1:${port}/token",service="test"`).send();
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => url } });
  open.push(server, { [Symbol.asyncDispose]: () => app.close() });
  await expect(server.registry.resolveByLogin(IMAGE, [LOGIN])).rejects.toThrow("gave no token");
});

it("says what is wrong when a manifest breaks off", async () => {
  const app = Fastify({ forceCloseConnections: true });
  app.get("/v2/*", (request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-length": 1000 });
    reply.raw.write("{", () => request.raw.socket.destroy());
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => url } });
  open.push(server, { [Symbol.asyncDispose]: () => app.close() });
  await expect(server.registry.resolveByLogin(IMAGE, [LOGIN])).rejects.toThrow(
    "cannot pull registry.example.com/team/app:1 from the registry registry.example.com: its answer broke off",
  );
});

it("leaves no connection open when only a blob's size is asked for", async () => {
  const app = Fastify({ forceCloseConnections: true });
  let [begun, closed] = [0, 0];
  app.get("/v2/*", (request, reply) => {
    if (request.url.includes("/manifests/")) return reply.send(manifestOf(blobOf(), []).bytes);
    begun++;
    reply.hijack();
    reply.raw.on("close", () => closed++);
    reply.raw.writeHead(200, { "content-length": 1_000_000_000 });
    reply.raw.write(Buffer.alloc(100_000));
    return reply;
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const server = await startTestRegistry({ store: createMemoryStore(), config: { upstreamUrlOf: () => url } });
  open.push(server, { [Symbol.asyncDispose]: () => app.close() });
  const opened = await server.registry.resolveByLogin(IMAGE, [LOGIN]);
  const headers = { authorization: basic("AWS", opened?.password ?? "") };
  const head = await fetch(`${server.url}${PATH}/blobs/${blobOf().digest}${NS}`, { headers, method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), begun]).toEqual([200, "1000000000", 1]);
  // Garbage collection would close it too, half a minute later.
  await expect.poll(() => closed, { timeout: 15_000 }).toBe(1);
});

it("says which user was refused, and has nothing to say of images that no login is for", async () => {
  const { server } = await start("basic");
  await expect(server.registry.resolveByLogin(IMAGE, [{ ...LOGIN, password: "guessed" }])).rejects.toThrow("there is no such image for ann");
  expect(await server.registry.resolveByLogin("other.example.com/app", [LOGIN])).toBeUndefined();
});
