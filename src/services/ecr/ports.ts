import type { Readable } from "node:stream";
import type { Scope } from "../../core/scope.ts";

export interface RepositoryRef extends Scope {
  readonly name: string;
}

export type TagMutability = "MUTABLE" | "IMMUTABLE" | "MUTABLE_WITH_EXCLUSION" | "IMMUTABLE_WITH_EXCLUSION";

export interface RepositorySettings {
  readonly tagMutability?: TagMutability;
  /** Wildcards of tags that the rule does not hold for. */
  readonly mutabilityExclusions?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
}

export interface Repository extends RepositoryRef, Required<RepositorySettings> {
  readonly createdAtMs: number;
}

export interface Image {
  readonly digest: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly imageSizeBytes: number;
  readonly pushedAtMs: number;
  readonly lastPulledAtMs?: number;
  readonly subject?: string;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface TaggedImage {
  readonly record: Image;
  readonly tags: readonly string[];
}

/** What the registry can refuse for; its Problems carry one as `reason`. Only those that ECR's API can meet. */
export type RegistryReason =
  | "repository-unknown"
  | "repository-exists"
  | "repository-not-empty"
  | "name-invalid"
  | "tag-invalid"
  | "tag-immutable"
  | "digest-invalid"
  | "digest-mismatch"
  | "manifest-unknown"
  | "manifest-invalid"
  | "manifest-referenced"
  | "blobs-unknown"
  | "children-unknown"
  | "blob-unknown"
  | "upload-unknown"
  | "range-invalid"
  | "size-invalid"
  | "disk-full";

/** What ECR needs of the registry that holds the records. Its failures are Problems with a `reason` (and `offsetBytes`, `digests`). */
export interface ImageRegistry {
  readonly repositories: {
    create(repository: RepositoryRef, settings: RepositorySettings): Promise<Repository>;
    get(repository: RepositoryRef): Promise<Repository>;
    /** In name order. */
    list(scope: Scope, page: { readonly after?: string; readonly limit?: number }): Promise<readonly Repository[]>;
    update(repository: RepositoryRef, change: RepositorySettings): Promise<Repository>;
    delete(repository: RepositoryRef, options: { readonly force: boolean }): Promise<Repository>;
  };
  readonly images: {
    put(
      repository: RepositoryRef,
      manifest: { readonly bytes: Uint8Array; readonly mediaType?: string; readonly tag?: string; readonly digest?: string },
    ): Promise<{ readonly record: Image; readonly changed: boolean }>;
    /** By tag or digest. */
    find(repository: RepositoryRef, reference: string): Promise<Image | undefined>;
    content(record: { readonly digest: string } & Image): Promise<Buffer>;
    /** In digest order. */
    list(repository: RepositoryRef): Promise<readonly TaggedImage[]>;
    referrers(repository: RepositoryRef, subject: string): Promise<readonly Image[]>;
    deleteTag(repository: RepositoryRef, tag: string, options: { readonly lastTagDeletesImage: boolean }): Promise<string>;
    deleteDigest(repository: RepositoryRef, digest: string): Promise<readonly string[]>;
    /** Keeps it from garbage collection for a while. */
    holdBlob(repository: RepositoryRef, digest: string): Promise<{ readonly sizeBytes: number } | undefined>;
  };
  readonly uploads: {
    start(repository: RepositoryRef): Promise<string>;
    offset(repository: RepositoryRef, id: string): Promise<number>;
    append(
      repository: RepositoryRef,
      id: string,
      part: { readonly content: Readable; readonly claim: { readonly startByte: number; readonly lengthBytes: number } },
    ): Promise<number>;
    complete(repository: RepositoryRef, id: string, digest: string): Promise<{ readonly sizeBytes: number }>;
  };
  readonly tokens: {
    issue(caller: Scope & { readonly principalArn: string }): { readonly authorizationToken: string; readonly expiresAtMs: number };
  };
  /** Path and query that open one blob without a token, for an hour. */
  layerPath(repository: RepositoryRef, digest: string): string;
}
