import type { Store, Write } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { fitsWildcard } from "../core/wildcard.ts";
import { Readable } from "node:stream";
import type { FileBlobStore } from "./blob-store.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import { readManifest, type ManifestDocument } from "./manifest-document.ts";
import { isDigest, isTag, type RepositoryRef } from "./names.ts";
import { RegistryProblem } from "./problems.ts";
import { BLOB_LINKS, digestKey, MANIFESTS, REFERRERS, referrerKey, repositoryKey, tagKey, TAGS } from "./records.ts";
import type { BlobLinkRecord, ManifestRecord, RepositoryRecord, TagRecord } from "./records.ts";
import type { Repositories } from "./repositories.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface ImagesOptions {
  readonly store: Store;
  readonly blobs: FileBlobStore;
  readonly clock: Clock;
  readonly locks: KeyedLock;
  readonly repositories: Repositories;
}

export interface PutManifest {
  readonly bytes: Uint8Array;
  /** Content-Type; left out, the document decides. */
  readonly mediaType?: string;
  readonly tag?: string;
  /** What the client holds the digest to be. */
  readonly digest?: string;
  /** Copies of public images: what they refer to comes later, and immutability is no matter. */
  readonly fromUpstream?: boolean;
}

export interface PutResult {
  readonly record: ManifestRecord;
  /** False when exactly this manifest under this tag was there before. */
  readonly changed: boolean;
}

/** An image with the tags that point at it, in order. */
export interface ImageInfo {
  readonly record: ManifestRecord;
  readonly tags: readonly string[];
}

/** Manifests, tags and referrers of a repository, and which blobs it holds. */
export class Images {
  readonly #options: ImagesOptions;

  constructor(options: ImagesOptions) {
    this.#options = options;
  }

  /**
   * Stores a manifest and moves the tag to it. All it refers to must be in the repository. Idempotent.
   * @throws RegistryProblem `repository-unknown`, `manifest-invalid`, `size-invalid`, `tag-invalid`, `digest-mismatch`, `tag-immutable`, `blobs-unknown`, `children-unknown`.
   */
  async put(repository: RepositoryRef, manifest: PutManifest): Promise<PutResult> {
    const document = readManifest(manifest.bytes, manifest.mediaType);
    if (manifest.tag !== undefined && !isTag(manifest.tag)) throw new RegistryProblem("tag-invalid", `'${manifest.tag}' is not a tag`);
    if (manifest.digest !== undefined && manifest.digest !== document.digest) {
      throw new RegistryProblem("digest-mismatch", `The manifest has the digest '${document.digest}', not '${manifest.digest}'`);
    }
    return this.#options.locks.run(repositoryKey(repository), async () => {
      const settings = await this.#options.repositories.getForPush(repository);
      const tag = manifest.tag === undefined ? undefined : await this.getTag(repository, manifest.tag);
      if (manifest.tag !== undefined && tag !== undefined && tag.digest !== document.digest && manifest.fromUpstream !== true) {
        checkMutable(settings, manifest.tag);
      }
      const imageSizeBytes = await this.#checkReferences(repository, document, manifest.fromUpstream === true);
      await this.#options.blobs.write(document.digest, Readable.from([Buffer.from(manifest.bytes)], { objectMode: false }));
      return this.#store(repository, { document, manifest, imageSizeBytes, tag });
    });
  }

  async #store(
    repository: RepositoryRef,
    what: {
      readonly document: ManifestDocument;
      readonly manifest: PutManifest;
      readonly imageSizeBytes: number;
      readonly tag: TagRecord | undefined;
    },
  ): Promise<PutResult> {
    const { document, manifest } = what;
    const before = await this.getByDigest(repository, document.digest);
    const nowMs = this.#options.clock.nowMs();
    const record = recordOf(document, {
      ...what,
      sizeBytes: manifest.bytes.length,
      pushedAtMs: before?.pushedAtMs ?? nowMs,
      lastPulledAtMs: before?.lastPulledAtMs,
    });
    const writes: Write[] = [{ op: "put", collection: MANIFESTS, key: digestKey(repository, document.digest), value: record }];
    if (manifest.tag !== undefined) {
      const value: TagRecord = {
        tag: manifest.tag,
        digest: document.digest,
        updatedAtMs: nowMs,
        ...(manifest.fromUpstream === true ? { upstreamCheckedAtMs: nowMs } : {}),
      };
      writes.push({ op: "put", collection: TAGS, key: tagKey(repository, manifest.tag), value });
    }
    if (document.subject !== undefined) {
      const key = referrerKey(repository, document.subject, document.digest);
      writes.push({ op: "put", collection: REFERRERS, key, value: { digest: document.digest } });
    }
    await this.#options.store.transact(writes);
    const sameTag = manifest.tag === undefined || what.tag?.digest === document.digest;
    return { record, changed: before === undefined || !sameTag };
  }

  /** Sum of the sizes of what the manifest refers to. */
  async #checkReferences(repository: RepositoryRef, document: ManifestDocument, mayMiss: boolean): Promise<number> {
    let total = 0;
    const missing: string[] = [];
    for (const child of document.children) {
      const record = await this.getByDigest(repository, child.digest);
      if (record === undefined) missing.push(child.digest);
      total += record?.imageSizeBytes ?? 0;
    }
    if (missing.length > 0 && !mayMiss) throw childrenUnknown(repository, missing);
    for (const blob of document.blobs) {
      const link = mayMiss ? undefined : await this.holdBlob(repository, blob.digest);
      if (link === undefined) missing.push(blob.digest);
      else if (link.sizeBytes !== blob.sizeBytes) {
        throw new RegistryProblem("manifest-invalid", `manifest invalid: ${blob.digest} has ${link.sizeBytes} bytes, not ${blob.sizeBytes}`);
      }
      total += blob.sizeBytes;
    }
    if (missing.length > 0 && !mayMiss) throw blobsUnknown(repository, missing);
    return total;
  }

  /** The repository's blob, kept from garbage collection for the grace period; `undefined` when it has none such. */
  async holdBlob(repository: RepositoryRef, digest: string): Promise<BlobLinkRecord | undefined> {
    if (!isDigest(digest)) return undefined;
    const { blobs, store } = this.#options;
    return blobs.exclusively(digest, async () => {
      const link = await store.get(BLOB_LINKS, digestKey(repository, digest));
      return link !== undefined && (await blobs.touch(digest)) ? link.value : undefined;
    });
  }

  /** Gives the repository a blob that another one holds; `undefined` when that one does not. */
  async mountBlob(repository: RepositoryRef, from: RepositoryRef, digest: string): Promise<BlobLinkRecord | undefined> {
    const held = await this.holdBlob(from, digest);
    if (held !== undefined) await this.linkBlob(repository, held);
    return held;
  }

  /** Notes that the repository holds a blob that is in the blob store. Idempotent. */
  async linkBlob(repository: RepositoryRef, link: BlobLinkRecord): Promise<void> {
    await this.#options.store.transact([{ op: "put", collection: BLOB_LINKS, key: digestKey(repository, link.digest), value: link }]);
  }

  /** Takes a blob out of the repository. @throws RegistryProblem `blob-unknown`, `blob-referenced`. */
  async unlinkBlob(repository: RepositoryRef, digest: string): Promise<void> {
    await this.#options.locks.run(repositoryKey(repository), async () => {
      const key = digestKey(repository, digest);
      if ((await this.#options.store.get(BLOB_LINKS, key)) === undefined) throw blobUnknown(repository, digest);
      const user = (await this.manifests(repository)).find((manifest) => manifest.blobs.includes(digest));
      if (user !== undefined)
        throw new RegistryProblem("blob-referenced", `the blob ${digest} is used by the manifest ${user.digest}; delete that first`);
      await this.#options.store.transact([{ op: "delete", collection: BLOB_LINKS, key }]);
    });
  }

  async getByDigest(repository: RepositoryRef, digest: string): Promise<ManifestRecord | undefined> {
    return (await this.#options.store.get(MANIFESTS, digestKey(repository, digest)))?.value;
  }

  async getTag(repository: RepositoryRef, tag: string): Promise<TagRecord | undefined> {
    return (await this.#options.store.get(TAGS, tagKey(repository, tag)))?.value;
  }

  /** By tag or digest. */
  async find(repository: RepositoryRef, reference: string): Promise<ManifestRecord | undefined> {
    const digest = isDigest(reference) ? reference : (await this.getTag(repository, reference))?.digest;
    return digest === undefined ? undefined : this.getByDigest(repository, digest);
  }

  /** The manifest as it was pushed. */
  async content(record: ManifestRecord): Promise<Buffer> {
    return this.#options.blobs.readWhole(record.digest);
  }

  /** Notes a pull, at most once a day. @see ECR lastRecordedPullTime */
  async recordPull(repository: RepositoryRef, record: ManifestRecord): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (record.lastPulledAtMs !== undefined && nowMs - record.lastPulledAtMs < DAY_MS) return;
    await this.#options.locks.run(repositoryKey(repository), async () => {
      const now = await this.getByDigest(repository, record.digest);
      if (now === undefined) return;
      const key = digestKey(repository, record.digest);
      await this.#options.store.transact([{ op: "update", collection: MANIFESTS, key, value: { ...now, lastPulledAtMs: nowMs } }]);
    });
  }

  async manifests(repository: RepositoryRef): Promise<readonly ManifestRecord[]> {
    return (await this.#options.store.list(MANIFESTS, { prefix: digestKey(repository) })).map((entry) => entry.value);
  }

  /** In the order of their names. */
  async tags(repository: RepositoryRef, page: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly TagRecord[]> {
    const after = page.after === undefined ? {} : { after: tagKey(repository, page.after) };
    const limit = page.limit === undefined ? {} : { limit: page.limit };
    return (await this.#options.store.list(TAGS, { prefix: tagKey(repository), ...after, ...limit })).map((entry) => entry.value);
  }

  /** All images, in the order of their digests. */
  async list(repository: RepositoryRef): Promise<readonly ImageInfo[]> {
    const tagsOf = new Map<string, string[]>();
    for (const { tag, digest } of await this.tags(repository)) tagsOf.set(digest, [...(tagsOf.get(digest) ?? []), tag]);
    return (await this.manifests(repository)).map((record) => ({ record, tags: tagsOf.get(record.digest) ?? [] }));
  }

  /** The manifests that name `subject`, in the order of their digests. */
  async referrers(repository: RepositoryRef, subject: string): Promise<readonly ManifestRecord[]> {
    const entries = await this.#options.store.list(REFERRERS, { prefix: referrerKey(repository, subject) });
    const records = await Promise.all(entries.map((entry) => this.getByDigest(repository, entry.value.digest)));
    return records.filter((record) => record !== undefined);
  }

  /**
   * Removes a tag; with `lastTagDeletesImage`, also the manifest when no tag is left on it (ECR's rule). Answers the digest it pointed at.
   * @throws RegistryProblem `manifest-unknown`, `manifest-referenced`.
   */
  async deleteTag(repository: RepositoryRef, tag: string, options: { readonly lastTagDeletesImage: boolean }): Promise<string> {
    return this.#options.locks.run(repositoryKey(repository), async () => {
      const record = await this.getTag(repository, tag);
      if (record === undefined) throw manifestUnknown();
      const others = (await this.tags(repository)).some((other) => other.digest === record.digest && other.tag !== tag);
      if (options.lastTagDeletesImage && !others) await this.#deleteDigest(repository, record.digest);
      else await this.#options.store.transact([{ op: "delete", collection: TAGS, key: tagKey(repository, tag) }]);
      return record.digest;
    });
  }

  /** Removes a manifest with all its tags; answers the tags. @throws RegistryProblem `manifest-unknown`, `manifest-referenced`. */
  async deleteDigest(repository: RepositoryRef, digest: string): Promise<readonly string[]> {
    return this.#options.locks.run(repositoryKey(repository), () => this.#deleteDigest(repository, digest));
  }

  async #deleteDigest(repository: RepositoryRef, digest: string): Promise<readonly string[]> {
    const record = await this.getByDigest(repository, digest);
    if (record === undefined) throw manifestUnknown();
    const parents = (await this.manifests(repository)).filter((manifest) => manifest.children.includes(digest)).map((manifest) => manifest.digest);
    if (parents.length > 0) {
      throw new RegistryProblem("manifest-referenced", `Requested image referenced by manifest list: [${parents.join(", ")}]`, { digests: parents });
    }
    const tags = (await this.tags(repository)).filter((tag) => tag.digest === digest).map((tag) => tag.tag);
    const writes: Write[] = [{ op: "delete", collection: MANIFESTS, key: digestKey(repository, digest) }];
    for (const tag of tags) writes.push({ op: "delete", collection: TAGS, key: tagKey(repository, tag) });
    if (record.subject !== undefined) writes.push({ op: "delete", collection: REFERRERS, key: referrerKey(repository, record.subject, digest) });
    await this.#options.store.transact(writes);
    return tags;
  }

  /** Notes that a tag was compared with its public registry. */
  async markChecked(repository: RepositoryRef, tag: string): Promise<void> {
    const record = await this.getTag(repository, tag);
    if (record === undefined) return;
    const value: TagRecord = { ...record, upstreamCheckedAtMs: this.#options.clock.nowMs() };
    await this.#options.store.transact([{ op: "put", collection: TAGS, key: tagKey(repository, tag), value }]);
  }
}

function recordOf(
  document: ManifestDocument,
  facts: { readonly sizeBytes: number; readonly imageSizeBytes: number; readonly pushedAtMs: number; readonly lastPulledAtMs: number | undefined },
): ManifestRecord {
  const { digest, mediaType, subject, artifactType, configMediaType, annotations } = document;
  return {
    digest,
    mediaType,
    sizeBytes: facts.sizeBytes,
    imageSizeBytes: facts.imageSizeBytes,
    pushedAtMs: facts.pushedAtMs,
    blobs: [...new Set(document.blobs.map((blob) => blob.digest))],
    children: [...new Set(document.children.map((child) => child.digest))],
    ...(facts.lastPulledAtMs === undefined ? {} : { lastPulledAtMs: facts.lastPulledAtMs }),
    ...(subject === undefined ? {} : { subject }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(configMediaType === undefined ? {} : { configMediaType }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/** Whether the repository lets this tag move. */
function checkMutable(repository: RepositoryRecord, tag: string): void {
  const excluded = repository.mutabilityExclusions.some((filter) => fitsWildcard(filter, tag, { wildcards: "*" }));
  const immutable = {
    MUTABLE: false,
    IMMUTABLE: true,
    MUTABLE_WITH_EXCLUSION: excluded,
    IMMUTABLE_WITH_EXCLUSION: !excluded,
  }[repository.tagMutability];
  if (!immutable) return;
  const message = `The image tag '${tag}' already exists in the '${repository.name}' repository and cannot be overwritten because the repository is immutable.`;
  throw new RegistryProblem("tag-immutable", message);
}

export function manifestUnknown(): RegistryProblem {
  return new RegistryProblem("manifest-unknown", "Requested image not found");
}

export function blobUnknown(repository: RepositoryRef, digest: string): RegistryProblem {
  return new RegistryProblem("blob-unknown", `the repository '${repository.name}' has no blob ${digest}`, { digests: [digest] });
}

function blobsUnknown(repository: RepositoryRef, digests: readonly string[]): RegistryProblem {
  const message = `Layers with digests '[${digests.join(", ")}]' required for pushing image into repository with name '${repository.name}' in the registry with id '${repository.account}' do not exist`;
  return new RegistryProblem("blobs-unknown", message, { digests });
}

function childrenUnknown(repository: RepositoryRef, digests: readonly string[]): RegistryProblem {
  const message = `Images with digests '[${digests.join(", ")}]' required for pushing image into repository with name '${repository.name}' in the registry with id '${repository.account}' do not exist`;
  return new RegistryProblem("children-unknown", message, { digests });
}
