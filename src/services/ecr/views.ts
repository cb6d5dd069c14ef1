import type { ImageDetail, ImageIdentifier, Repository as RepositoryShape, Tag } from "@aws-sdk/client-ecr";
import type { Image, Repository, RepositoryRef, TaggedImage } from "./ports.ts";
import { repositoryArn } from "./room.ts";

/** A repository as the API shows it. `repositoryUri` is on this instance, so that docker pushes to it without any setting. */
export function repositoryView(repository: Repository, port: number): RepositoryShape {
  return {
    repositoryArn: repositoryArn(repository),
    registryId: repository.account,
    repositoryName: repository.name,
    repositoryUri: `localhost:${port}/${repository.name}`,
    createdAt: new Date(repository.createdAtMs),
    imageTagMutability: repository.tagMutability,
    ...exclusionsView(repository.mutabilityExclusions),
    imageScanningConfiguration: { scanOnPush: false },
    encryptionConfiguration: { encryptionType: "AES256" },
  };
}

export function exclusionsView(filters: readonly string[]): Pick<RepositoryShape, "imageTagMutabilityExclusionFilters"> {
  return filters.length === 0 ? {} : { imageTagMutabilityExclusionFilters: filters.map((filter) => ({ filterType: "WILDCARD", filter })) };
}

export function tagsView(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

export function imageDetailView(repository: RepositoryRef, { record, tags }: TaggedImage): ImageDetail {
  return {
    registryId: repository.account,
    repositoryName: repository.name,
    imageDigest: record.digest,
    ...(tags.length === 0 ? {} : { imageTags: [...tags] }),
    imageSizeInBytes: record.imageSizeBytes,
    imagePushedAt: new Date(record.pushedAtMs),
    imageManifestMediaType: record.mediaType,
    ...(record.artifactType === undefined ? {} : { artifactMediaType: record.artifactType }),
    ...(record.lastPulledAtMs === undefined ? {} : { lastRecordedPullTime: new Date(record.lastPulledAtMs) }),
    ...(record.subject === undefined ? {} : { subjectManifestDigest: record.subject }),
    imageStatus: "ACTIVE",
  };
}

/** One identifier for each tag; the digest alone when there is none. */
export function imageIdsOf({ record, tags }: TaggedImage): readonly ImageIdentifier[] {
  return tags.length === 0 ? [{ imageDigest: record.digest }] : tags.map((imageTag) => ({ imageDigest: record.digest, imageTag }));
}

/** @see ECR: images are ACTIVE until they are archived, which is not built. */
export function hasStatus(_image: Image, wanted: string | undefined): boolean {
  return wanted === undefined || wanted === "ACTIVE" || wanted === "ANY";
}
