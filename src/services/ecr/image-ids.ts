import type { ImageFailure, ImageIdentifier } from "@aws-sdk/client-ecr";
import type { Image, ImageRegistry, RepositoryRef } from "./ports.ts";

const DIGEST = /^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$/;

export type FoundImage = { readonly image: Image; readonly failure?: undefined } | { readonly failure: ImageFailure };

/** The image that an identifier stands for, or ECR's failure for it. */
export async function findImage(registry: ImageRegistry, repository: RepositoryRef, imageId: ImageIdentifier): Promise<FoundImage> {
  const { imageDigest, imageTag } = imageId;
  if (imageDigest === undefined && imageTag === undefined) {
    return {
      failure: { imageId, failureCode: "MissingDigestAndTag", failureReason: "Invalid request parameters: both tag and digest cannot be null" },
    };
  }
  if (imageDigest !== undefined && !DIGEST.test(imageDigest)) {
    const failureReason = "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
    return { failure: { imageId, failureCode: "InvalidImageDigest", failureReason } };
  }
  const byTag = imageTag === undefined ? undefined : await registry.images.find(repository, imageTag);
  const byDigest = imageDigest === undefined ? undefined : await registry.images.find(repository, imageDigest);
  const image = byDigest ?? byTag;
  if (image === undefined || (imageTag !== undefined && byTag === undefined) || (imageDigest !== undefined && byDigest === undefined)) {
    return { failure: { imageId, failureCode: "ImageNotFound", failureReason: "Requested image not found" } };
  }
  if (byTag !== undefined && byDigest !== undefined && byTag.digest !== byDigest.digest) {
    return { failure: { imageId, failureCode: "ImageTagDoesNotMatchDigest", failureReason: "Requested tag does not match the requested digest" } };
  }
  return { image };
}
