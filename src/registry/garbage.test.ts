import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../core/clock.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { OCI_MANIFEST } from "./manifest-document.ts";
import {
  ACCOUNT,
  blobOf,
  manifestOf,
  pushBlob,
  pushImage,
  putManifest,
  REGION,
  startTestRegistry,
  type TestBlob,
  type TestRegistry,
} from "./test-registry.ts";

const HOUR_MS = 60 * 60 * 1000;

async function open(clock: FakeClock, repositories: readonly string[]): Promise<TestRegistry> {
  const server = await startTestRegistry({ store: createMemoryStore(), clock });
  for (const name of repositories) await server.registry.repositories.create({ account: ACCOUNT, region: REGION, name });
  return server;
}

async function filesOf(server: TestRegistry): Promise<readonly string[]> {
  const found = await readdir(join(server.folder, "blobs", "sha256"), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => `sha256:${entry.name}`);
}

describe("garbage collection", () => {
  it("takes what no manifest uses once the grace is over, and nothing else", async () => {
    const clock = new FakeClock();
    await using server = await open(clock, ["app"]);
    const kept = await pushImage(server, "app", "v1");
    const unused = blobOf();
    await pushBlob(server, "app", unused);
    await clock.advance(HOUR_MS / 2);
    expect(await server.registry.collectGarbage()).toMatchObject({ blobsDeleted: 0, linksDeleted: 0 });
    await clock.advance(HOUR_MS);
    expect(await server.registry.collectGarbage()).toEqual({ uploadsEnded: 0, linksDeleted: 1, blobsDeleted: 1, freedBytes: unused.bytes.length });
    expect((await server.call(`/v2/app/blobs/${unused.digest}`)).status).toBe(404);
    expect((await filesOf(server)).toSorted()).toEqual([kept.manifest, kept.config, kept.layer].map((blob) => blob.digest).toSorted());
    expect((await server.call("/v2/app/manifests/v1")).status).toBe(200);
  });

  it("spares a blob that a client was told is there, or mounted", async () => {
    const clock = new FakeClock();
    await using server = await open(clock, ["app", "other"]);
    const [asked, mounted, forgotten] = [blobOf(), blobOf(), blobOf()];
    for (const blob of [asked, mounted, forgotten]) await pushBlob(server, "app", blob);
    await clock.advance(2 * HOUR_MS);
    await server.call(`/v2/app/blobs/${asked.digest}`, { method: "HEAD" });
    await server.call(`/v2/other/blobs/uploads/?mount=${mounted.digest}&from=app`, { method: "POST" });
    expect(await server.registry.collectGarbage()).toMatchObject({ blobsDeleted: 1 });
    expect((await filesOf(server)).toSorted()).toEqual([asked.digest, mounted.digest].toSorted());
  });

  it("frees the images of a deleted repository, but not what another one shares", async () => {
    const clock = new FakeClock();
    await using server = await open(clock, ["gone", "stays"]);
    const image = await pushImage(server, "gone", "v1");
    await server.call(`/v2/stays/blobs/uploads/?mount=${image.layer.digest}&from=gone`, { method: "POST" });
    const config = blobOf();
    await pushBlob(server, "stays", config);
    await putManifest(server, "stays/manifests/v1", manifestOf(config, [image.layer]));
    await server.registry.repositories.delete({ account: ACCOUNT, region: REGION, name: "gone" }, { force: true });
    await clock.advance(2 * HOUR_MS);
    expect(await server.registry.collectGarbage()).toMatchObject({ blobsDeleted: 2 });
    expect((await server.call(`/v2/stays/blobs/${image.layer.digest}`)).status).toBe(200);
  });

  it("ends uploads that were given up, and keeps those that go on", async () => {
    const clock = new FakeClock();
    await using server = await open(clock, ["app"]);
    const start = async (): Promise<string> => (await server.call("/v2/app/blobs/uploads/", { method: "POST" })).headers.get("location") ?? "";
    const [left, alive] = [await start(), await start()];
    await server.call(left, { method: "PATCH", body: "abc" });
    await clock.advance(23 * HOUR_MS);
    await server.call(alive, { method: "PATCH", body: "abc" });
    await clock.advance(1.5 * HOUR_MS);
    // The first call may join the daily run that began half an hour ago.
    await server.registry.collectGarbage();
    await server.registry.collectGarbage();
    expect((await server.call(left)).status).toBe(404);
    expect((await server.call(alive)).status).toBe(204);
  });

  it("runs once a day by itself", async () => {
    const clock = new FakeClock();
    await using server = await open(clock, ["app"]);
    expect(clock.pendingDelaysMs()).toContain(24 * HOUR_MS);
    const unused = blobOf();
    await pushBlob(server, "app", unused);
    await clock.advance(24 * HOUR_MS);
    await expect.poll(() => filesOf(server)).toEqual([]);
    await expect.poll(() => clock.pendingDelaysMs()).toContain(24 * HOUR_MS);
  });

  it("never takes a blob from under a push, however they meet", async () => {
    const clock = new FakeClock();
    const repositories = ["aa", "bb", "cc"];
    await using server = await open(clock, repositories);
    const pushed: Pushed[] = [];
    const met = { reused: 0, pushed: 0, collected: 0 };
    for (let round = 0; round < 6; round++) {
      // Old blobs that nobody uses: each push below may rely on them, and each collection may take them.
      const shared = Array.from({ length: 40 }, () => blobOf(randomBytes(2_000)));
      for (const blob of shared) await pushBlob(server, "aa", blob);
      await clock.advance(2 * HOUR_MS);
      const pushing = new AbortController();
      const collector = (async () => {
        while (!pushing.signal.aborted) met.collected += (await server.registry.collectGarbage()).blobsDeleted;
      })();
      const pushers = Array.from({ length: 8 }, async (_, index) => {
        const repository = repositories[index % repositories.length] ?? "aa";
        const layers = [0, 1, 2].map((step) => shared[(index * 5 + step) % shared.length] as TestBlob);
        const config = blobOf();
        for (const blob of layers) met[await ensureBlob(server, repository, blob)]++;
        await ensureBlob(server, repository, config);
        const manifest = manifestOf(config, layers);
        const response = await putManifest(server, `${repository}/manifests/r${round}-${index}`, manifest);
        expect([response.status, await response.text()]).toEqual([201, ""]);
        pushed.push({ repository, manifest, blobs: [...layers, config] });
      });
      await Promise.all(pushers);
      pushing.abort();
      await collector;
    }
    // All of it must have happened, or the storm shows nothing.
    expect(Math.min(...Object.values(met))).toBeGreaterThan(0);
    await clock.advance(2 * HOUR_MS);
    await server.registry.collectGarbage();
    expect(pushed).toHaveLength(48);
    for (const image of pushed) await expectWhole(server, image);
  });
});

interface Pushed {
  readonly repository: string;
  readonly manifest: TestBlob;
  readonly blobs: readonly TestBlob[];
}

async function expectWhole(server: TestRegistry, { repository, manifest, blobs }: Pushed): Promise<void> {
  expect((await server.call(`/v2/${repository}/manifests/${manifest.digest}`, { headers: { accept: OCI_MANIFEST } })).status).toBe(200);
  for (const blob of blobs) {
    const response = await server.call(`/v2/${repository}/blobs/${blob.digest}`);
    expect(Buffer.from(await response.arrayBuffer()).equals(blob.bytes)).toBe(true);
  }
}

/** As clients do: ask, mount, push. */
async function ensureBlob(server: TestRegistry, repository: string, blob: TestBlob): Promise<"reused" | "pushed"> {
  const head = await server.call(`/v2/${repository}/blobs/${blob.digest}`, { method: "HEAD" });
  if (head.status === 200) return "reused";
  const mount = await server.call(`/v2/${repository}/blobs/uploads/?mount=${blob.digest}&from=aa`, { method: "POST" });
  if (mount.status === 201) return "reused";
  const put = await server.call(`${mount.headers.get("location")}?digest=${blob.digest}`, { method: "PUT", body: new Uint8Array(blob.bytes) });
  expect(put.status).toBe(201);
  return "pushed";
}
