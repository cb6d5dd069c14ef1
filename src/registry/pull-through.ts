import { PassThrough, type Readable, Transform } from "node:stream";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";
import type { DiskGuard } from "../host/disk-guard.ts";
import type { FileBlobStore } from "./blob-store.ts";
import { settle, TRANSFER_BUFFER_BYTES } from "./file-sink.ts";
import type { Images } from "./images.ts";
import { isDigest, splitPublicName, type RepositoryRef } from "./names.ts";
import { diskProblem, RegistryProblem } from "./problems.ts";
import type { BlobLinkRecord, ManifestRecord } from "./records.ts";
import type { Repositories } from "./repositories.ts";
import type { Upstream, UpstreamRepository } from "./upstream.ts";

/** @see ECR pull-through cache: a tag is compared with its upstream at most once a day. */
const CHECK_EVERY_MS = 24 * 60 * 60 * 1000;

export interface PullThroughOptions {
  readonly images: Images;
  readonly repositories: Repositories;
  readonly blobs: FileBlobStore;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly disk: DiskGuard;
}

/** Public images: those kept here first, then their registry; what comes from there is kept. */
export class PullThrough {
  readonly #options: PullThroughOptions;

  constructor(options: PullThroughOptions) {
    this.#options = options;
  }

  /**
   * The manifest, fetched and kept if need be. Tags that were pushed here are never asked upstream; fetched ones once a day, and the kept
   * one serves when that fails. @throws RegistryProblem `manifest-unknown`, `upstream-unreachable`.
   */
  async manifest(repository: RepositoryRef, reference: string): Promise<ManifestRecord> {
    const { images, logger, clock } = this.#options;
    const kept = await images.find(repository, reference);
    const tag = isDigest(reference) ? undefined : await images.getTag(repository, reference);
    const isFresh = tag?.upstreamCheckedAtMs === undefined || clock.nowMs() - tag.upstreamCheckedAtMs < CHECK_EVERY_MS;
    if (kept !== undefined && isFresh) return kept;
    try {
      return await this.#fetchManifest(repository, reference);
    } catch (error) {
      if (kept === undefined) throw error;
      logger.warn("serving the kept image; its public registry could not be asked", {
        image: `${repository.name}:${reference}`,
        err: messageOf(error),
      });
      await images.markChecked(repository, reference);
      return kept;
    }
  }

  async #fetchManifest(repository: RepositoryRef, reference: string): Promise<ManifestRecord> {
    const from = upstreamOf(repository);
    const { bytes, mediaType } = await this.#options.upstream.manifest(from, reference);
    const expected = isDigest(reference) ? { digest: reference } : { tag: reference };
    const sent = mediaType === undefined ? {} : { mediaType };
    const { record } = await this.#options.images.put(repository, { bytes, ...sent, ...expected, fromUpstream: true });
    return record;
  }

  /** The blob's record here, fetching it whole first if need be. @throws RegistryProblem `blob-unknown`, `upstream-unreachable`. */
  async ensureBlob(repository: RepositoryRef, digest: string): Promise<BlobLinkRecord> {
    const held = await this.#held(repository, digest);
    if (held !== undefined) return held;
    const { content } = await this.#options.upstream.blob(upstreamOf(repository), digest);
    const { sizeBytes } = await this.#options.blobs.write(digest, content);
    const link = { digest, sizeBytes };
    await this.#options.repositories.getForPush(repository);
    await this.#options.images.linkBlob(repository, link);
    return link;
  }

  /**
   * A blob that is not here yet, as it comes: to the caller, and into the blob store on the way. Ends with an error when the content turns
   * out not to be the digest's. A caller who goes away ends the fetch.
   */
  async streamBlob(repository: RepositoryRef, digest: string): Promise<{ readonly content: Readable; readonly sizeBytes: number | undefined }> {
    const { content, sizeBytes } = await this.#options.upstream.blob(upstreamOf(repository), digest);
    try {
      await this.#ensureRoom(repository, sizeBytes ?? 0);
      await this.#options.repositories.getForPush(repository);
    } catch (error) {
      content.destroy();
      throw error;
    }
    return { content: this.#tee(content, repository, digest), sizeBytes };
  }

  /** Before the answer begins: a full disk is then said in words. */
  async #ensureRoom(repository: RepositoryRef, sizeBytes: number): Promise<void> {
    const what = `${repository.name} was not pulled`;
    try {
      await this.#options.disk.ensureRoom(what, sizeBytes);
    } catch (error) {
      throw diskProblem(error, what);
    }
  }

  /** The last bytes reach the caller only when the whole is verified and kept. */
  #tee(source: Readable, repository: RepositoryRef, digest: string): Readable {
    const { images, blobs, logger } = this.#options;
    const copy = new PassThrough({ highWaterMark: TRANSFER_BUFFER_BYTES });
    const kept = blobs.write(digest, copy).then((stored) => images.linkBlob(repository, { digest, sizeBytes: stored.sizeBytes }));
    kept.catch((error: unknown) => logger.warn("a public image's blob could not be kept", { image: repository.name, digest, err: messageOf(error) }));
    let last: Buffer | undefined;
    const out = new Transform({
      highWaterMark: TRANSFER_BUFFER_BYTES,
      transform(chunk: Buffer, _encoding, done) {
        const ready = last;
        last = chunk;
        if (copy.destroyed) return done(new RegistryProblem("upstream-unreachable", `the blob ${digest} could not be kept`));
        if (copy.write(chunk)) return done(null, ready);
        whenWritable(copy, () => done(null, ready));
      },
      flush(done) {
        copy.end();
        void settle(
          kept.then(() => last !== undefined && this.push(last)),
          done,
        );
      },
      destroy(error, done) {
        if (!copy.writableEnded) copy.destroy(error ?? new Error("the client went away"));
        source.destroy();
        done(error);
      },
    });
    source.on("error", (error) => out.destroy(error));
    return source.pipe(out);
  }

  async #held(repository: RepositoryRef, digest: string): Promise<BlobLinkRecord | undefined> {
    return this.#options.images.holdBlob(repository, digest);
  }
}

/** Calls `run` once: when more may be written, or never will. */
function whenWritable(stream: PassThrough, run: () => void): void {
  const once = (): void => {
    stream.off("drain", once);
    stream.off("close", once);
    run();
  };
  stream.on("drain", once);
  stream.on("close", once);
}

function upstreamOf(repository: RepositoryRef): UpstreamRepository {
  const from = splitPublicName(repository.name);
  if (from === undefined) throw new RegistryProblem("name-invalid", `'${repository.name}' does not begin with a public registry's host`);
  return from;
}
