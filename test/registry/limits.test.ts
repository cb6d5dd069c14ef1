/** What a registry in a process of its own, or on a small disk, must stand. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/host/run.ts";
import { blobOf } from "../../src/registry/test-registry.ts";
import { startEcr } from "./ecr-instance.ts";
import { startRegistryProcess, type RegistryProcess } from "./process.ts";

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(MIB, "registry");

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "tidegate-limits-"));
});
afterAll(async () => rm(work, { recursive: true, force: true }));

/** `count` MiB, each different from the one before, and their digest. */
function content(count: number): { readonly chunks: () => Generator<Buffer>; readonly digest: string } {
  function* chunks(): Generator<Buffer> {
    for (let index = 0; index < count; index++) {
      const chunk = Buffer.from(CHUNK);
      chunk.writeUInt32BE(index);
      yield chunk;
    }
  }
  const hash = createHash("sha256");
  for (const chunk of chunks()) hash.update(chunk);
  return { chunks, digest: `sha256:${hash.digest("hex")}` };
}

async function startUpload(registry: RegistryProcess): Promise<string> {
  const response = await fetch(`${registry.url}/v2/app/blobs/uploads/`, { method: "POST", headers: { authorization: registry.authorization } });
  return response.headers.get("location") ?? "";
}

describe("a large blob", () => {
  it("goes in and out without the registry's memory growing with it", async () => {
    await using registry = await startRegistryProcess(join(work, "memory"), ["app"]);
    const headers = { authorization: registry.authorization };
    const small = blobOf(Buffer.alloc(8 * MIB));
    await fetch(`${registry.url}/v2/app/blobs/uploads/?digest=${small.digest}`, { method: "POST", headers, body: new Uint8Array(small.bytes) });
    const before = registry.peakMemoryMiB();
    const { chunks, digest } = content(300);
    const location = registry.url + (await startUpload(registry));
    const patch = await fetch(location, { method: "PATCH", headers, body: ReadableStream.from(chunks()), duplex: "half" });
    expect([patch.status, patch.headers.get("range")]).toEqual([202, `0-${300 * MIB - 1}`]);
    expect((await fetch(`${location}?digest=${digest}`, { method: "PUT", headers })).status).toBe(201);
    const hash = createHash("sha256");
    const pulled = await fetch(`${registry.url}/v2/app/blobs/${digest}`, { headers });
    for await (const chunk of pulled.body ?? []) {
      hash.update(chunk);
      // A slow reader: what the registry cannot send it must not read.
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(`sha256:${hash.digest("hex")}`).toBe(digest);
    expect(registry.peakMemoryMiB() - before).toBeLessThan(100);
  });
});

describe("a killed registry", () => {
  it("goes on with an upload that was under way when it was killed", async () => {
    const folder = join(work, "killed");
    const first = await startRegistryProcess(folder, ["app"]);
    const { chunks, digest } = content(24);
    const location = await startUpload(first);
    const sending = request(first.url + location, { method: "PATCH", headers: { authorization: first.authorization } });
    sending.on("error", () => {});
    const all = [...chunks()];
    for (const chunk of all.slice(0, 16)) if (!sending.write(chunk)) await once(sending, "drain");
    const uploads = join(folder, "registry", "uploads");
    const [file = ""] = await readdir(uploads);
    const sizeOf = async (): Promise<number> => Number((await run(["stat", "-c", "%s", join(uploads, file)])).stdout);
    await expect.poll(sizeOf).toBeGreaterThan(8 * MIB);
    await first.kill();
    sending.destroy();

    await using second = await startRegistryProcess(folder, []);
    const headers = { authorization: second.authorization };
    const status = await fetch(second.url + location, { headers });
    const received = Number(/^0-(\d+)$/.exec(status.headers.get("range") ?? "")?.[1]) + 1;
    expect(received).toBe(await sizeOf());
    const rest = new Uint8Array(Buffer.concat(all).subarray(received));
    const range = `${received}-${24 * MIB - 1}`;
    const patch = await fetch(second.url + location, { method: "PATCH", headers: { ...headers, "content-range": range }, body: rest });
    expect(patch.status).toBe(202);
    expect((await fetch(`${second.url + location}?digest=${digest}`, { method: "PUT", headers })).status).toBe(201);
    const head = await fetch(`${second.url}/v2/app/blobs/${digest}`, { method: "HEAD", headers });
    expect(head.headers.get("content-length")).toBe(String(24 * MIB));
    expect(await readdir(uploads)).toEqual([]);
  });
});

describe("a full disk", () => {
  it("is said in words, leaves nothing half written, and does no harm to what fits", async () => {
    const folder = join(work, "small");
    await mkdir(folder);
    await run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder]);
    try {
      await using server = await startEcr({ folder: join(folder, "registry") });
      await server.registry.repositories.create({ account: "123456789012", region: "eu-central-1", name: "app" });
      const token = server.registry.tokens.issue({ account: "123456789012", region: "eu-central-1", principalArn: "arn" });
      const headers = { authorization: `Basic ${token.authorizationToken}` };
      const url = `http://127.0.0.1:${server.port}`;
      const { chunks } = content(20);
      const started = await fetch(`${url}/v2/app/blobs/uploads/`, { method: "POST", headers });
      const location = url + (started.headers.get("location") ?? "");
      const full = await fetch(location, { method: "PATCH", headers, body: ReadableStream.from(chunks()), duplex: "half" });
      expect(full.status).toBe(403);
      expect(await full.text()).toContain("the disk that holds the registry is full (ENOSPC)");
      expect(await readdir(join(folder, "registry", "uploads"))).toEqual([]);
      expect((await fetch(location, { headers })).status).toBe(404);
      const fits = blobOf(Buffer.alloc(4 * MIB));
      const pushed = await fetch(`${url}/v2/app/blobs/uploads/?digest=${fits.digest}`, { method: "POST", headers, body: new Uint8Array(fits.bytes) });
      expect(pushed.status).toBe(201);
    } finally {
      await run(["umount", folder]);
    }
  });
});
