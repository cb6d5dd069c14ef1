import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, unlink, utimes, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { BlobStore } from "../contracts/blob-store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { DiskGuard } from "../host/disk-guard.ts";
import { makeFolder, syncFolder } from "../host/files.ts";
import { FileSink, TRANSFER_BUFFER_BYTES } from "./file-sink.ts";
import { blobPath } from "./blob-path.ts";
import { KeyedLock } from "./keyed-lock.ts";
import { isDigest } from "./names.ts";
import { diskProblem, RegistryProblem } from "./problems.ts";

export interface BlobStoreTools {
  readonly clock: Clock;
  readonly ids: Ids;
  /** Of the disk that the folder is on; left out, nothing is kept back. */
  readonly disk?: DiskGuard;
}

export interface BlobInfo {
  readonly sizeBytes: number;
  /** When somebody last wrote it or relied on it being there. */
  readonly touchedAtMs: number;
}

/**
 * Blobs as files, `blobs/sha256/<2 hex>/<64 hex>`, shared by all repositories. A file appears by one rename, after its content is on disk;
 * its modification time says when it was last touched, which garbage collection goes by.
 */
export class FileBlobStore implements BlobStore {
  readonly #root: string;
  readonly #folder: string;
  readonly #temporary: string;
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #disk: DiskGuard;
  readonly #locks = new KeyedLock();

  private constructor(folder: string, { clock, ids, disk }: BlobStoreTools) {
    this.#root = folder;
    this.#folder = join(folder, "blobs", "sha256");
    this.#temporary = join(folder, "tmp");
    this.#clock = clock;
    this.#ids = ids;
    this.#disk = disk ?? new DiskGuard({ folder, clock, reserveBytes: 0 });
  }

  /** Makes the folders, and empties the temporary one of what a killed process left. */
  static async open(folder: string, tools: BlobStoreTools): Promise<FileBlobStore> {
    const store = new FileBlobStore(folder, tools);
    await rm(store.#temporary, { recursive: true, force: true });
    await mkdir(store.#temporary, { recursive: true });
    for (const above of [folder, dirname(store.#folder), store.#folder]) await makeFolder(above);
    for (let byte = 0; byte < 256; byte++) await mkdir(join(store.#folder, byte.toString(16).padStart(2, "0")), { recursive: true });
    await syncFolder(store.#folder);
    return store;
  }

  /** Runs `work` while nobody else may publish, touch or collect the blob. Not re-entrant. */
  exclusively<T>(digest: string, work: () => Promise<T>): Promise<T> {
    return this.#locks.run(digest, work);
  }

  async stat(digest: string): Promise<BlobInfo | undefined> {
    try {
      const info = await stat(this.#pathOf(digest));
      return { sizeBytes: info.size, touchedAtMs: info.mtimeMs };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async read(digest: string, range?: { readonly start: number; readonly end: number }): Promise<Readable> {
    return createReadStream("", { fd: await this.open(digest), highWaterMark: TRANSFER_BUFFER_BYTES, ...range });
  }

  /** The blob's file, to read; whoever gets it closes it. @throws RegistryProblem `blob-unknown`. */
  async open(digest: string): Promise<FileHandle> {
    try {
      return await open(this.#pathOf(digest), "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw blobUnknown(digest, error);
      throw error;
    }
  }

  /** The whole of a small blob: a manifest. */
  async readWhole(digest: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of await this.read(digest)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  async write(digest: string, content: Readable): Promise<{ readonly sizeBytes: number }> {
    this.#pathOf(digest);
    const path = join(this.#temporary, this.#ids.hex(32));
    try {
      const hash = createHash("sha256");
      const what = `the blob ${digest} was not stored`;
      const sizeBytes = await this.#disk.during(what, (signal) => this.#receive(path, { content, hash, signal }));
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual !== digest) throw new RegistryProblem("digest-mismatch", `the content has the digest ${actual}, not ${digest}`);
      await this.publish(digest, path);
      return { sizeBytes };
    } catch (error) {
      await rm(path, { force: true });
      throw diskProblem(error, `storing the blob ${digest}`);
    }
  }

  async #receive(path: string, { content, hash, signal }: { content: Readable; hash: Hash; signal: AbortSignal }): Promise<number> {
    const file = await open(path, "wx");
    const sink = new FileSink(file, { position: 0, hash });
    try {
      await pipeline(content, sink, { signal });
      await file.sync();
      return sink.position;
    } finally {
      await sink.idle();
      await file.close();
    }
  }

  /** Takes a file of the same filesystem, already hashed and synced, as the blob; the file is gone afterwards. Durable when it resolves. */
  async publish(digest: string, path: string): Promise<void> {
    const target = this.#pathOf(digest);
    await this.exclusively(digest, async () => {
      if (await this.touch(digest)) await unlink(path);
      else {
        const nowSeconds = this.#clock.nowMs() / 1000;
        await utimes(path, nowSeconds, nowSeconds);
        await rename(path, target);
      }
      // One that is there too: whoever put it there may have been killed before this.
      await syncFolder(dirname(target));
    });
  }

  /** Notes that somebody relies on the blob; false when there is none. Call it only inside `exclusively`. */
  async touch(digest: string): Promise<boolean> {
    const nowSeconds = this.#clock.nowMs() / 1000;
    try {
      await utimes(this.#pathOf(digest), nowSeconds, nowSeconds);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /** Idempotent. Readers that have it open go on reading. */
  async delete(digest: string): Promise<void> {
    await rm(this.#pathOf(digest), { force: true });
  }

  /** All digests, in order. */
  async *list(): AsyncGenerator<string> {
    for (const folder of (await readdir(this.#folder)).sort()) {
      for (const name of (await readdir(join(this.#folder, folder))).sort()) {
        if (isDigest(`sha256:${name}`)) yield `sha256:${name}`;
      }
    }
  }

  #pathOf(digest: string): string {
    if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `${digest} is not a sha256 digest`);
    return join(this.#root, blobPath(digest));
  }
}

function blobUnknown(digest: string, cause: unknown): RegistryProblem {
  return new RegistryProblem("blob-unknown", `there is no blob ${digest}`, { digests: [digest], cause });
}
