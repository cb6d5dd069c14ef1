import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Fastify from "fastify";
import type { Store } from "../contracts/store.ts";
import { systemClock, type Clock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import type { DiskGuard } from "../host/disk-guard.ts";
import { OCI_MANIFEST } from "./manifest-document.ts";
import { createRegistry, type Registry, type RegistryConfig } from "./registry.ts";

export const ACCOUNT = "123456789012";
export const REGION = "eu-central-1";

/** For tests: a registry that listens on a free port of loopback, with a folder of its own. */
export interface TestRegistry extends AsyncDisposable {
  readonly registry: Registry;
  readonly folder: string;
  readonly store: Store;
  readonly port: number;
  readonly url: string;
  /** The value of an Authorization header that may do all in the account. */
  readonly authorization: string;
  /** fetch with a fresh token, relative to the registry. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Stops serving and keeps the folder, as a kill would. */
  stop(): Promise<void>;
}

export interface TestRegistryOptions {
  readonly store: Store;
  readonly folder?: string;
  readonly clock?: Clock;
  readonly config?: Partial<RegistryConfig>;
  readonly disk?: (folder: string) => DiskGuard;
}

export async function startTestRegistry(options: TestRegistryOptions): Promise<TestRegistry> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "tidegate-registry-")));
  const { store, clock = systemClock } = options;
  const config = { account: ACCOUNT, region: REGION, port: 0, ...options.config };
  const registry = await createRegistry({
    dataDir: folder,
    store,
    clock,
    ids: randomIds,
    logger: silentLogger,
    config,
    disk: options.disk?.(folder),
  });
  const app = Fastify({ forceCloseConnections: true });
  await app.register(registry.plugin);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const principalArn = `arn:aws:iam::${ACCOUNT}:root`;
  const issue = (): string => `Basic ${registry.tokens.issue({ account: ACCOUNT, region: REGION, principalArn }).authorizationToken}`;
  const stop = async (): Promise<void> => {
    await app.close();
    await registry.close();
  };
  return {
    registry,
    folder,
    store,
    port,
    url,
    authorization: issue(),
    call: (path, init = {}) =>
      fetch(path.startsWith("http") ? path : url + path, {
        ...init,
        headers: { authorization: issue(), ...(init.headers as Record<string, string>) },
      }),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** For tests: content with its digest. */
export interface TestBlob {
  readonly bytes: Buffer;
  readonly digest: string;
}

export function blobOf(content: string | Buffer = randomBytes(64)): TestBlob {
  const bytes = Buffer.from(content);
  return { bytes, digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

/** For tests: an OCI manifest over a config and layers. */
export function manifestOf(config: TestBlob, layers: readonly TestBlob[], more: object = {}): TestBlob {
  const describe = (blob: TestBlob, mediaType: string): object => ({ mediaType, digest: blob.digest, size: blob.bytes.length });
  const document = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, "application/vnd.oci.image.config.v1+json"),
    layers: layers.map((layer) => describe(layer, "application/vnd.oci.image.layer.v1.tar")),
    ...more,
  };
  return blobOf(JSON.stringify(document));
}

/** For tests: pushes a blob at once. */
export async function pushBlob(server: TestRegistry, repository: string, blob: TestBlob): Promise<void> {
  const response = await server.call(`/v2/${repository}/blobs/uploads/?digest=${blob.digest}`, { method: "POST", body: new Uint8Array(blob.bytes) });
  if (response.status !== 201) throw new Error(`push of a blob: HTTP ${response.status} ${await response.text()}`);
}

/** For tests: pushes config, layers and manifest. */
export async function pushImage(
  server: TestRegistry,
  repository: string,
  tag: string,
): Promise<{ readonly manifest: TestBlob; readonly config: TestBlob; readonly layer: TestBlob }> {
  const [config, layer] = [blobOf(), blobOf()];
  await pushBlob(server, repository, config);
  await pushBlob(server, repository, layer);
  const manifest = manifestOf(config, [layer]);
  const response = await putManifest(server, `${repository}/manifests/${tag}`, manifest);
  if (response.status !== 201) throw new Error(`push of a manifest: HTTP ${response.status} ${await response.text()}`);
  return { manifest, config, layer };
}

/** For tests: `path` is `<repository>/manifests/<reference>`. */
export function putManifest(server: TestRegistry, path: string, manifest: TestBlob, mediaType: string = OCI_MANIFEST): Promise<Response> {
  return server.call(`/v2/${path}`, { method: "PUT", body: new Uint8Array(manifest.bytes), headers: { "content-type": mediaType } });
}
