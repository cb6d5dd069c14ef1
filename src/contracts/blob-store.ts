import type { Readable } from "node:stream";

/** Content-addressed blobs by `sha256:<64 hex>`. A blob is there whole or not at all. */
export interface BlobStore {
  stat(digest: string): Promise<{ readonly sizeBytes: number } | undefined>;
  /** A range is inclusive at both ends, as in HTTP. @throws Problem `not-found`. */
  read(digest: string, range?: { readonly start: number; readonly end: number }): Promise<Readable>;
  /** Streams to disk, hashes on the way, and publishes atomically. @throws Problem `invalid` when the digest differs. */
  write(digest: string, content: Readable): Promise<{ readonly sizeBytes: number }>;
  delete(digest: string): Promise<void>;
}
