import { collection, type Collection } from "../contracts/store.ts";
import { scopedKey, type Scope } from "../core/scope.ts";
import type { RepositoryRef } from "./names.ts";

export type TagMutability = "MUTABLE" | "IMMUTABLE" | "MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION";

/** Key: `<account>/<region>/<name>`. */
export interface RepositoryRecord extends Scope {
  readonly name: string;
  readonly createdAtMs: number;
  readonly tagMutability: TagMutability;
  /** Wildcards (`*`) of tags that the rule does not hold for. */
  readonly mutabilityExclusions: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

/** Key: `<account>/<region>/<repository>@<digest>`. The manifest's bytes are the blob of that digest. */
export interface ManifestRecord {
  readonly digest: string;
  readonly mediaType: string;
  /** Of the manifest itself. */
  readonly sizeBytes: number;
  /** Sum of what it refers to: config and layers, or the children's. */
  readonly imageSizeBytes: number;
  readonly pushedAtMs: number;
  readonly lastPulledAtMs?: number;
  /** Config and layers that the repository must hold. */
  readonly blobs: readonly string[];
  /** Manifests of an index. */
  readonly children: readonly string[];
  readonly subject?: string;
  readonly artifactType?: string;
  readonly configMediaType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Key: `<account>/<region>/<repository>:<tag>`. */
export interface TagRecord {
  readonly tag: string;
  readonly digest: string;
  readonly updatedAtMs: number;
  /** Set on tags that came from a public registry: when they were last compared with it. */
  readonly upstreamCheckedAtMs?: number;
}

/** That a repository holds a blob. Key: `<account>/<region>/<repository>@<digest>`. */
export interface BlobLinkRecord {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** Which manifests name a subject. Key: `<account>/<region>/<repository>@<subject>/<digest>`. */
export interface ReferrerRecord {
  readonly digest: string;
}

/** An upload that goes on. Key: its id. The bytes are in a file of that name. */
export interface UploadRecord extends RepositoryRef {
  readonly startedAtMs: number;
}

/** Key: `token`. Signs tokens; 64 hex digits. */
export interface SecretRecord {
  readonly key: string;
}

export const REPOSITORIES: Collection<RepositoryRecord> = collection("registry.repository");
export const MANIFESTS: Collection<ManifestRecord> = collection("registry.manifest");
export const TAGS: Collection<TagRecord> = collection("registry.tag");
export const BLOB_LINKS: Collection<BlobLinkRecord> = collection("registry.blob-link");
export const REFERRERS: Collection<ReferrerRecord> = collection("registry.referrer");
export const UPLOADS: Collection<UploadRecord> = collection("registry.upload");
export const SECRETS: Collection<SecretRecord> = collection("registry.secret");

export function repositoryKey(repository: RepositoryRef): string {
  return scopedKey(repository, repository.name);
}

/** Key of a manifest or blob link; without a digest, the prefix of all of the repository's. */
export function digestKey(repository: RepositoryRef, digest = ""): string {
  return `${repositoryKey(repository)}@${digest}`;
}

/** Key of a tag; without one, the prefix of all of the repository's. */
export function tagKey(repository: RepositoryRef, tag = ""): string {
  return `${repositoryKey(repository)}:${tag}`;
}

export function referrerKey(repository: RepositoryRef, subject: string, digest = ""): string {
  return `${repositoryKey(repository)}@${subject}/${digest}`;
}
