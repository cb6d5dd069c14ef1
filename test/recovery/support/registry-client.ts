import { createHash, randomBytes } from "node:crypto";

/** Speaks the distribution API as far as a push and a check of it need; each answer that is no success throws. */
export interface RegistryClient {
  /** In parts, as Docker does. Answers the digest once the registry has acknowledged the blob. */
  pushBlob(repository: string, content: Buffer): Promise<string>;
  /** An image of random layers under a tag; `onBlob` is called after each blob that is acknowledged. Answers the manifest's digest. */
  pushImage(repository: string, tag: string, onBlob?: (digest: string) => void): Promise<string>;
  hasBlob(repository: string, digest: string): Promise<boolean>;
  /** Reads an image with all its blobs. @throws when one is missing or is not what its digest says. */
  verifyImage(repository: string, reference: string): Promise<{ readonly digest: string }>;
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const LAYER_BYTES = 96 * 1024;

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

/** `login` is `user:password`. */
export function registryClient(endpoint: string, login: string): RegistryClient {
  const authorization = `Basic ${Buffer.from(login).toString("base64")}`;
  const call = async (method: string, path: string, body?: Buffer, type = "application/octet-stream"): Promise<Response> => {
    const headers = { authorization, "content-type": type, accept: MANIFEST };
    const response = await fetch(new URL(path, endpoint), { method, headers, ...(body === undefined ? {} : { body: new Uint8Array(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const read = async (path: string, digest: string): Promise<Buffer> => {
    const content = Buffer.from(await (await call("GET", path)).arrayBuffer());
    if (digestOf(content) !== digest) throw new Error(`${path} is ${digestOf(content)}`);
    return content;
  };
  const client: RegistryClient = {
    async pushBlob(repository, content) {
      const begun = await call("POST", `/v2/${repository}/blobs/uploads/`);
      const half = content.length >> 1;
      const first = await call("PATCH", begun.headers.get("location") ?? "", content.subarray(0, half));
      const second = await call("PATCH", first.headers.get("location") ?? "", content.subarray(half));
      const location = new URL(second.headers.get("location") ?? "", endpoint);
      const digest = digestOf(content);
      location.searchParams.set("digest", digest);
      await call("PUT", location.href);
      return digest;
    },
    async pushImage(repository, tag, onBlob = () => {}) {
      const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] }, tag }));
      const contents = [config, randomBytes(LAYER_BYTES), randomBytes(LAYER_BYTES)];
      for (const content of contents) onBlob(await client.pushBlob(repository, content));
      const [first, ...layers] = contents.map((content, index) => ({
        mediaType: `application/vnd.oci.image.${index === 0 ? "config.v1+json" : "layer.v1.tar"}`,
        digest: digestOf(content),
        size: content.length,
      }));
      const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: first, layers }));
      await call("PUT", `/v2/${repository}/manifests/${tag}`, manifest, MANIFEST);
      return digestOf(manifest);
    },
    hasBlob: (repository, digest) =>
      call("HEAD", `/v2/${repository}/blobs/${digest}`).then(
        () => true,
        () => false,
      ),
    async verifyImage(repository, reference) {
      const bytes = Buffer.from(await (await call("GET", `/v2/${repository}/manifests/${reference}`)).arrayBuffer());
      const { config, layers } = JSON.parse(bytes.toString()) as Manifest;
      for (const { digest } of [config, ...layers]) await read(`/v2/${repository}/blobs/${digest}`, digest);
      return { digest: digestOf(bytes) };
    },
  };
  return client;
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
