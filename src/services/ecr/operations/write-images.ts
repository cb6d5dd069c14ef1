import type {
  BatchDeleteImageRequest,
  BatchDeleteImageResponse,
  ImageFailure,
  ImageIdentifier,
  PutImageRequest,
  PutImageResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { messageOf } from "../../../core/problem.ts";
import { asEcr, invalidParameter, reasonOf } from "../errors.ts";
import { findImage } from "../image-ids.ts";
import type { ImageRegistry, RepositoryRef } from "../ports.ts";
import { repositoryOf, type EcrRoom } from "../room.ts";

/** @throws AwsError `ImageAlreadyExistsException` when just this manifest has just this tag; a docker push of it succeeds. */
export function putImage({ registry }: EcrRoom): Operation<PutImageRequest, PutImageResponse> {
  return {
    name: "PutImage",
    members: {
      registryId: "used",
      repositoryName: "used",
      imageManifest: "used",
      imageManifestMediaType: "used",
      imageTag: "used",
      imageDigest: "used",
    },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "PutImage");
      await asEcr(() => registry.repositories.get(repository));
      const manifest = {
        bytes: Buffer.from(input.imageManifest ?? ""),
        ...(input.imageManifestMediaType === undefined ? {} : { mediaType: input.imageManifestMediaType }),
        ...(input.imageTag === undefined ? {} : { tag: input.imageTag }),
        ...(input.imageDigest === undefined ? {} : { digest: input.imageDigest }),
      };
      const { record, changed } = await asEcr(() => registry.images.put(repository, manifest));
      if (!changed) throw alreadyExists(repository, record.digest, input.imageTag);
      const imageId = { imageDigest: record.digest, ...(input.imageTag === undefined ? {} : { imageTag: input.imageTag }) };
      const { account: registryId, name: repositoryName } = repository;
      return { image: { registryId, repositoryName, imageId, imageManifest: input.imageManifest, imageManifestMediaType: record.mediaType } };
    },
  };
}

function alreadyExists(repository: RepositoryRef, digest: string, tag: string | undefined): AwsError {
  const where = `in the repository with name '${repository.name}' in registry with id '${repository.account}'`;
  return new AwsError("ImageAlreadyExistsException", `Image with digest '${digest}' and tag '${tag ?? "null"}' already exists ${where}`);
}

/** By tag (the last tag takes the image with it) or digest (with all its tags). What cannot be deleted is among the failures. */
export function batchDeleteImage({ registry }: EcrRoom): Operation<BatchDeleteImageRequest, BatchDeleteImageResponse> {
  return {
    name: "BatchDeleteImage",
    members: { registryId: "used", repositoryName: "used", imageIds: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "BatchDeleteImage");
      await asEcr(() => registry.repositories.get(repository));
      if ((input.imageIds ?? []).length === 0)
        throw invalidParameter("Invalid parameter at 'imageIds' failed to satisfy constraint: 'must not be empty'");
      const imageIds: ImageIdentifier[] = [];
      const failures: ImageFailure[] = [];
      for (const id of input.imageIds ?? []) {
        const deleted = await deleteImage(registry, repository, id);
        imageIds.push(...(deleted.imageIds ?? []));
        if (deleted.failure !== undefined) failures.push(deleted.failure);
      }
      return { imageIds, failures };
    },
  };
}

async function deleteImage(
  registry: ImageRegistry,
  repository: RepositoryRef,
  imageId: ImageIdentifier,
): Promise<{ readonly imageIds?: readonly ImageIdentifier[]; readonly failure?: ImageFailure }> {
  const found = await findImage(registry, repository, imageId);
  if (found.failure !== undefined) return found;
  const imageDigest = found.image.digest;
  try {
    if (imageId.imageTag !== undefined) {
      await registry.images.deleteTag(repository, imageId.imageTag, { lastTagDeletesImage: true });
      return { imageIds: [{ imageDigest, imageTag: imageId.imageTag }] };
    }
    const tags = await registry.images.deleteDigest(repository, imageDigest);
    return { imageIds: tags.length === 0 ? [{ imageDigest }] : tags.map((imageTag) => ({ imageDigest, imageTag })) };
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === "manifest-referenced")
      return { failure: { imageId, failureCode: "ImageReferencedByManifestList", failureReason: messageOf(error) } };
    if (reason === "manifest-unknown") return { failure: { imageId, failureCode: "ImageNotFound", failureReason: "Requested image not found" } };
    throw error;
  }
}
