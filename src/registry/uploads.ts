import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem } from "../core/problem.ts";
import type { DiskGuard } from "../host/disk-guard.ts";
import { makeFolder } from "../host/files.ts";
import { FileSink, TRANSFER_BUFFER_BYTES } from "./file-sink.ts";
import { KeyedLock } from "./keyed-lock.ts";
import type { FileBlobStore } from "./blob-store.ts";
import { isDigest, type RepositoryRef } from "./names.ts";
import { diskProblem, RegistryProblem } from "./problems.ts";
import { BLOB_LINKS, digestKey, UPLOADS, type UploadRecord } from "./records.ts";

const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface UploadsOptions {
  /** Its files' folder, on the blob store's filesystem. */
  readonly folder: string;
  readonly store: Store;
  readonly blobs: FileBlobStore;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Of the disk that the folder is on: uploads are refused, and broken off, before it is full. */
  readonly disk: DiskGuard;
}

/** What a client said of the part it sends. */
export interface PartClaim {
  /** Must be what was received so far. */
  readonly startByte?: number;
  /** Must be what arrives, else nothing of it is kept. */
  readonly lengthBytes?: number;
}

interface HashedSoFar {
  readonly hash: Hash;
  readonly bytes: number;
}

/**
 * Uploads in parts. What arrived is in a file named after the upload, so an upload goes on after a restart of the server: its offset is the
 * file's size. The hash is kept in memory while it can be, and made again from the file otherwise.
 */
export class Uploads {
  readonly #options: UploadsOptions;
  readonly #locks = new KeyedLock();
  readonly #hashes = new Map<string, HashedSoFar>();

  private constructor(options: UploadsOptions) {
    this.#options = options;
  }

  /** Makes the folder, and forgets files without a record and records without a file: what a killed process left half made. */
  static async open(options: UploadsOptions): Promise<Uploads> {
    await makeFolder(options.folder);
    const uploads = new Uploads(options);
    const records = new Set((await options.store.list(UPLOADS)).map((record) => record.key));
    const files = new Set(await readdir(options.folder));
    for (const file of files) if (!records.has(file)) await rm(uploads.#pathOf(file), { force: true });
    for (const id of records) if (!files.has(id)) await uploads.#forget(id);
    return uploads;
  }

  /** @throws RegistryProblem `disk-full`. */
  async start(repository: RepositoryRef): Promise<string> {
    await this.#ensureRoom(repository, 0);
    const id = this.#options.ids.uuid();
    const { account, region, name } = repository;
    const value: UploadRecord = { account, region, name, startedAtMs: this.#options.clock.nowMs() };
    try {
      await this.#options.store.transact([{ op: "create", collection: UPLOADS, key: id, value }]);
      await (await open(this.#pathOf(id), "wx")).close();
      await this.#stamp(id);
    } catch (error) {
      throw diskProblem(error, `the upload to ${name}`);
    }
    return id;
  }

  /** Bytes received. @throws RegistryProblem `upload-unknown`. */
  async offset(repository: RepositoryRef, id: string): Promise<number> {
    return this.#locks.run(id, () => this.#offset(repository, id));
  }

  /**
   * Appends; answers the bytes received in all. When the client goes away midway, what arrived stays and the upload can be resumed.
   * @throws RegistryProblem `upload-unknown`, `range-invalid` (with the offset), `size-invalid`, `disk-full` (the upload is then gone).
   */
  async append(repository: RepositoryRef, id: string, part: { readonly content: Readable; readonly claim?: PartClaim }): Promise<number> {
    return this.#locks.run(id, () => this.#append(repository, id, part.content, part.claim ?? {}));
  }

  /**
   * Publishes what was received as a blob of the repository. The upload is over then, and also when the digest differs.
   * @throws RegistryProblem `upload-unknown`, `digest-invalid`, `digest-mismatch`.
   */
  async complete(repository: RepositoryRef, id: string, digest: string): Promise<{ readonly sizeBytes: number }> {
    return this.#locks.run(id, async () => {
      const sizeBytes = await this.#offset(repository, id);
      if (!isDigest(digest)) throw new RegistryProblem("digest-invalid", `${digest} is not a sha256 digest`);
      const { hash } = await this.#hashOf(id, sizeBytes);
      const actual = `sha256:${hash.copy().digest("hex")}`;
      if (actual !== digest) {
        await this.#forget(id);
        throw new RegistryProblem("digest-mismatch", `the content has the digest ${actual}, not ${digest}`, { digests: [digest] });
      }
      await this.#sync(id);
      await this.#options.blobs.publish(digest, this.#pathOf(id));
      await this.#options.store.transact([
        { op: "put", collection: BLOB_LINKS, key: digestKey(repository, digest), value: { digest, sizeBytes } },
        { op: "delete", collection: UPLOADS, key: id },
      ]);
      this.#hashes.delete(id);
      return { sizeBytes };
    });
  }

  /** @throws RegistryProblem `upload-unknown`. */
  async cancel(repository: RepositoryRef, id: string): Promise<void> {
    await this.#locks.run(id, async () => {
      await this.#offset(repository, id);
      await this.#forget(id);
    });
  }

  /** Ends uploads that nothing was added to since `untilMs`, or (without it) those of the repository; answers how many. */
  async sweep(which: { readonly untilMs: number } | { readonly repository: RepositoryRef }): Promise<number> {
    let swept = 0;
    for (const { key: id, value } of await this.#options.store.list(UPLOADS)) {
      const ended = await this.#locks.run(id, async () => {
        const over =
          "untilMs" in which ? ((await this.#fileInfo(id))?.mtimeMs ?? value.startedAtMs) < which.untilMs : isSame(which.repository, value);
        if (over) await this.#forget(id);
        return over;
      });
      if (ended) swept++;
    }
    return swept;
  }

  async #append(repository: RepositoryRef, id: string, content: Readable, claim: PartClaim): Promise<number> {
    const offset = await this.#offset(repository, id);
    if (claim.startByte !== undefined && claim.startByte !== offset) {
      const message = `the upload has ${offset} bytes, and the part starts at ${claim.startByte}`;
      throw new RegistryProblem("range-invalid", message, { offsetBytes: offset });
    }
    await this.#ensureRoom(repository, claim.lengthBytes ?? 0);
    const { hash } = await this.#hashOf(id, offset);
    this.#hashes.delete(id);
    const file = await open(this.#pathOf(id), "r+");
    const sink = new FileSink(file, { position: offset, hash });
    try {
      await this.#options.disk.during(`the upload to ${repository.name} was broken off`, (signal) => pipeline(content, sink, { signal }));
      const received = sink.position - offset;
      if (claim.lengthBytes !== undefined && claim.lengthBytes !== received) {
        await file.truncate(offset);
        throw new RegistryProblem("size-invalid", `the part should have ${claim.lengthBytes} bytes and had ${received}`, { offsetBytes: offset });
      }
      this.#hashes.set(id, { hash, bytes: sink.position });
      return sink.position;
    } catch (error) {
      await sink.idle();
      const problem = diskProblem(error, `the upload to ${repository.name}`);
      if (problem !== error) await this.#forget(id);
      throw problem;
    } finally {
      await sink.idle();
      await file.close();
      await this.#stamp(id);
    }
  }

  async #offset(repository: RepositoryRef, id: string): Promise<number> {
    const record = UPLOAD_ID.test(id) ? await this.#options.store.get(UPLOADS, id) : undefined;
    const info = record === undefined || !isSame(repository, record.value) ? undefined : await this.#fileInfo(id);
    if (info === undefined) throw new RegistryProblem("upload-unknown", `there is no upload ${id} to ${repository.name}; it ended or was swept`);
    return info.size;
  }

  /** A hash over the first `bytes` of the upload. */
  async #hashOf(id: string, bytes: number): Promise<HashedSoFar> {
    const known = this.#hashes.get(id);
    if (known?.bytes === bytes) return known;
    const hash = createHash("sha256");
    if (bytes > 0) {
      const content = createReadStream(this.#pathOf(id), { end: bytes - 1, highWaterMark: TRANSFER_BUFFER_BYTES });
      for await (const chunk of content) hash.update(chunk as Buffer);
    }
    return { hash, bytes };
  }

  async #sync(id: string): Promise<void> {
    const file = await open(this.#pathOf(id), "r+");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #stamp(id: string): Promise<void> {
    const nowSeconds = this.#options.clock.nowMs() / 1000;
    await utimes(this.#pathOf(id), nowSeconds, nowSeconds).catch(() => {});
  }

  async #fileInfo(id: string): Promise<{ readonly size: number; readonly mtimeMs: number } | undefined> {
    return stat(this.#pathOf(id)).catch(() => undefined);
  }

  async #forget(id: string): Promise<void> {
    this.#hashes.delete(id);
    await rm(this.#pathOf(id), { force: true });
    try {
      await this.#options.store.transact([{ op: "delete", collection: UPLOADS, key: id }]);
    } catch (error) {
      if (!isProblem(error, "not-found")) throw error;
    }
  }

  async #ensureRoom(repository: RepositoryRef, neededBytes: number): Promise<void> {
    const what = `the upload to ${repository.name} was refused`;
    try {
      await this.#options.disk.ensureRoom(what, neededBytes);
    } catch (error) {
      throw diskProblem(error, what);
    }
  }

  #pathOf(id: string): string {
    return join(this.#options.folder, id);
  }
}

function isSame(one: RepositoryRef, other: RepositoryRef): boolean {
  return one.account === other.account && one.region === other.region && one.name === other.name;
}
