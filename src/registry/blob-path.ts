import { join } from "node:path";

/** Where a blob is below the registry's folder: `blobs/sha256/<2 hex>/<64 hex>`. */
export function blobPath(digest: string): string {
  const hex = digest.slice("sha256:".length);
  return join("blobs", "sha256", hex.slice(0, 2), hex);
}
