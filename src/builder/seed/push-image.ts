import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { Problem } from "../../core/problem.ts";
import { imageArchitecture } from "../../host/architecture.ts";
import type { RegistryAccess } from "../builder.ts";
import type { Layer } from "./tar-layer.ts";

export interface ImageConfig {
  readonly environment: readonly string[];
  readonly entryPoint?: readonly string[];
  readonly command: readonly string[];
  readonly user?: string;
  readonly workingDirectory?: string;
  readonly createdAt: string;
}

const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

export interface ImageToPush {
  readonly repository: string;
  readonly tags: readonly string[];
  readonly layers: readonly Layer[];
  readonly config: ImageConfig;
  /** A repository that may hold some of the layers already; those are not sent again. */
  readonly mountFrom?: string;
}

/** Pushes an image made of `layers` under `repository` with each of `tags`, by the OCI distribution API. Answers the manifest's digest. */
export async function pushImage(registry: RegistryAccess, image: ImageToPush): Promise<string> {
  const config = Buffer.from(JSON.stringify(configJson(image.layers, image.config)));
  const configDigest = digestOf(config);
  for (const layer of image.layers) await pushBlob(registry, image, { digest: layer.digest, content: await openAsBlob(layer.path) });
  await pushBlob(registry, image, { digest: configDigest, content: new Blob([config]) });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: configDigest, size: config.length },
      layers: image.layers.map((layer) => ({
        mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
        digest: layer.digest,
        size: layer.sizeBytes,
      })),
    }),
  );
  for (const tag of image.tags) {
    const path = `${image.repository}/manifests/${tag}`;
    await send(registry, { method: "PUT", path, headers: { "content-type": MANIFEST_TYPE }, body: manifest });
  }
  return digestOf(manifest);
}

function configJson(layers: readonly Layer[], config: ImageConfig): unknown {
  const architecture = imageArchitecture();
  return {
    created: config.createdAt,
    architecture,
    os: "linux",
    config: {
      Env: config.environment,
      Entrypoint: config.entryPoint,
      Cmd: config.command,
      User: config.user,
      WorkingDir: config.workingDirectory,
    },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created: config.createdAt, created_by: "tidegate images seed" })),
  };
}

async function pushBlob(
  registry: RegistryAccess,
  { repository, mountFrom }: ImageToPush,
  { digest, content }: { readonly digest: string; readonly content: Blob },
): Promise<void> {
  const head = await send(registry, { method: "HEAD", path: `${repository}/blobs/${digest}`, okStatuses: [200, 404] });
  if (head.status === 200) return;
  const mount = mountFrom === undefined ? "" : `?mount=${digest}&from=${mountFrom}`;
  const start = await send(registry, { method: "POST", path: `${repository}/blobs/uploads/${mount}` });
  if (start.status === 201) return;
  const location = new URL(start.headers.get("location") ?? "", `http://${registry.host}`);
  location.searchParams.set("digest", digest);
  await send(registry, { method: "PUT", url: location.href, headers: { "content-type": "application/octet-stream" }, body: content });
}

interface Call {
  readonly method: string;
  readonly path?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob | Buffer<ArrayBuffer>;
  readonly okStatuses?: readonly number[];
}

async function send(registry: RegistryAccess, call: Call): Promise<Response> {
  const url = call.url ?? `http://${registry.host}/v2/${call.path}`;
  const token = Buffer.from(`${registry.username}:${registry.password}`).toString("base64");
  const response = await fetch(url, { method: call.method, headers: { ...call.headers, authorization: `Basic ${token}` }, body: call.body });
  const body = call.method === "HEAD" ? "" : await response.text();
  const ok = call.okStatuses?.includes(response.status) ?? response.ok;
  if (!ok) throw new Problem("unavailable", `${call.method} ${url} answered ${response.status}: ${body.slice(0, 500)}`);
  return response;
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
