/** What the registry's program pushes, and its check expects: content that follows from its name. */
import { createHash } from "node:crypto";
import { OCI_MANIFEST } from "../../../src/registry/manifest-document.ts";

export const REPOSITORY = { account: "123456789012", region: "eu-central-1", name: "shop" };

const CONTENT_BYTES = 9_000;

export function contentOf(name: string): Buffer {
  const blocks = Array.from({ length: Math.ceil(CONTENT_BYTES / 32) }, (_, index) => createHash("sha256").update(`${name} ${index}`).digest());
  return Buffer.concat(blocks).subarray(0, CONTENT_BYTES);
}

export function digestOf(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

/** An OCI manifest; the first name is its configuration's. */
export function manifestOver(names: readonly string[]): Buffer {
  const [config, ...layers] = names.map((name) => ({ digest: digestOf(contentOf(name)), size: CONTENT_BYTES }));
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: layers.map((layer) => ({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer })),
    }),
  );
}
