import type {
  BatchGetImageRequest,
  BatchGetImageResponse,
  DescribeImagesRequest,
  DescribeImagesResponse,
  Image as ImageShape,
  ImageFailure,
  ImageIdentifier,
  ListImageReferrersRequest,
  ListImageReferrersResponse,
  ListImagesRequest,
  ListImagesResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import { asEcr, imageNotFound, invalidParameter } from "../errors.ts";
import { findImage } from "../image-ids.ts";
import { pageOf } from "../paging.ts";
import type { ImageRegistry, RepositoryRef, TaggedImage } from "../ports.ts";
import { repositoryOf, type EcrRoom } from "../room.ts";
import { hasStatus, imageDetailView, imageIdsOf } from "../views.ts";

function hasTagStatus(image: TaggedImage, wanted: string | undefined): boolean {
  if (wanted === "TAGGED") return image.tags.length > 0;
  return wanted !== "UNTAGGED" || image.tags.length === 0;
}

/** One entry for each tag, and one for each image without. */
export function listImages({ registry }: EcrRoom): Operation<ListImagesRequest, ListImagesResponse> {
  return {
    name: "ListImages",
    members: { registryId: "used", repositoryName: "used", nextToken: "used", maxResults: "used", filter: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "ListImages");
      await asEcr(() => registry.repositories.get(repository));
      const images = await registry.images.list(repository);
      const wanted = images.filter((image) => hasTagStatus(image, input.filter?.tagStatus) && hasStatus(image.record, input.filter?.imageStatus));
      const { items, nextToken } = pageOf(wanted.flatMap(imageIdsOf), input, (id) => `${id.imageDigest} ${id.imageTag ?? ""}`);
      return { imageIds: [...items], ...(nextToken === undefined ? {} : { nextToken }) };
    },
  };
}

/** @throws AwsError `ImageNotFoundException` for an identifier that stands for nothing. */
export function describeImages({ registry }: EcrRoom): Operation<DescribeImagesRequest, DescribeImagesResponse> {
  return {
    name: "DescribeImages",
    members: { registryId: "used", repositoryName: "used", imageIds: "used", nextToken: "used", maxResults: "used", filter: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "DescribeImages");
      await asEcr(() => registry.repositories.get(repository));
      const all = await registry.images.list(repository);
      if (input.imageIds !== undefined && input.imageIds.length > 0) {
        if (input.maxResults !== undefined || input.nextToken !== undefined) {
          throw invalidParameter("Invalid parameter at 'maxResults' failed to satisfy constraint: 'cannot be specified with imageIds'");
        }
        return { imageDetails: named(all, repository, input.imageIds).map((image) => imageDetailView(repository, image)) };
      }
      const wanted = all.filter((image) => hasTagStatus(image, input.filter?.tagStatus) && hasStatus(image.record, input.filter?.imageStatus));
      const { items, nextToken } = pageOf(wanted, input, (image) => image.record.digest);
      return { imageDetails: items.map((image) => imageDetailView(repository, image)), ...(nextToken === undefined ? {} : { nextToken }) };
    },
  };
}

/** Each image once, however often it is named. */
function named(all: readonly TaggedImage[], repository: RepositoryRef, ids: readonly ImageIdentifier[]): readonly TaggedImage[] {
  const found = new Set<TaggedImage>();
  for (const id of ids) {
    if (id.imageDigest === undefined && id.imageTag === undefined) {
      throw invalidParameter("Invalid request parameters: both tag and digest cannot be null");
    }
    const image = all.find(
      ({ record, tags }) =>
        (id.imageDigest === undefined || record.digest === id.imageDigest) && (id.imageTag === undefined || tags.includes(id.imageTag)),
    );
    if (image === undefined) throw imageNotFound(repository, id);
    found.add(image);
  }
  return [...found];
}

/** Manifests as they were pushed; what cannot be found is among the failures. Differs: nothing is rewritten into another media type. */
export function batchGetImage({ registry }: EcrRoom): Operation<BatchGetImageRequest, BatchGetImageResponse> {
  return {
    name: "BatchGetImage",
    members: { registryId: "used", repositoryName: "used", imageIds: "used", acceptedMediaTypes: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "BatchGetImage");
      await asEcr(() => registry.repositories.get(repository));
      const images: ImageShape[] = [];
      const failures: ImageFailure[] = [];
      for (const id of input.imageIds ?? []) {
        const got = await getImage(registry, repository, { id, accepted: input.acceptedMediaTypes });
        if (got.failure === undefined) images.push(got.image);
        else failures.push(got.failure);
      }
      return { images, failures };
    },
  };
}

async function getImage(
  registry: ImageRegistry,
  repository: RepositoryRef,
  wanted: { readonly id: ImageIdentifier; readonly accepted: readonly string[] | undefined },
): Promise<{ readonly image: ImageShape; readonly failure?: undefined } | { readonly failure: ImageFailure }> {
  const { id, accepted } = wanted;
  const found = await findImage(registry, repository, id);
  if (found.failure !== undefined) return found;
  const { image } = found;
  if (accepted !== undefined && !accepted.includes(image.mediaType)) {
    const failureReason = `Requested image is stored as ${image.mediaType}, which is not among the accepted media types`;
    return { failure: { imageId: id, failureCode: "ImageNotFound", failureReason } };
  }
  const shape: ImageShape = {
    registryId: repository.account,
    repositoryName: repository.name,
    imageId: { imageDigest: image.digest, ...(id.imageTag === undefined ? {} : { imageTag: id.imageTag }) },
    imageManifest: (await registry.images.content(image)).toString(),
    imageManifestMediaType: image.mediaType,
  };
  return { image: shape };
}

/** The manifests whose subject is the image, whether or not that is there. */
export function listImageReferrers({ registry }: EcrRoom): Operation<ListImageReferrersRequest, ListImageReferrersResponse> {
  return {
    name: "ListImageReferrers",
    members: { registryId: "used", repositoryName: "used", subjectId: "used", filter: "used", nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "ListImageReferrers");
      await asEcr(() => registry.repositories.get(repository));
      const types = input.filter?.artifactTypes ?? [];
      const all = await registry.images.referrers(repository, input.subjectId?.imageDigest ?? "");
      const wanted = all.filter(
        (image) => (types.length === 0 || types.includes(image.artifactType ?? "")) && hasStatus(image, input.filter?.artifactStatus),
      );
      const { items, nextToken } = pageOf(wanted, { ...input, maxResults: input.maxResults ?? 50 }, (image) => image.digest);
      const referrers = items.map((image) => ({
        digest: image.digest,
        mediaType: image.mediaType,
        size: image.sizeBytes,
        artifactStatus: "ACTIVE" as const,
        ...(image.artifactType === undefined ? {} : { artifactType: image.artifactType }),
        ...(image.annotations === undefined ? {} : { annotations: { ...image.annotations } }),
      }));
      return { referrers, ...(nextToken === undefined ? {} : { nextToken }) };
    },
  };
}
