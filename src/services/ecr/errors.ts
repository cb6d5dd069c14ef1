import { AwsError } from "../../core/aws-error.ts";
import { isProblem } from "../../core/problem.ts";
import type { RegistryReason, RepositoryRef } from "./ports.ts";

const CODES: Readonly<Record<RegistryReason, string>> = {
  "repository-unknown": "RepositoryNotFoundException",
  "repository-exists": "RepositoryAlreadyExistsException",
  "repository-not-empty": "RepositoryNotEmptyException",
  "name-invalid": "InvalidParameterException",
  "tag-invalid": "InvalidParameterException",
  "tag-immutable": "ImageTagAlreadyExistsException",
  "digest-invalid": "InvalidParameterException",
  "digest-mismatch": "ImageDigestDoesNotMatchException",
  "manifest-unknown": "ImageNotFoundException",
  "manifest-invalid": "InvalidParameterException",
  "manifest-referenced": "InvalidParameterException",
  "blobs-unknown": "LayersNotFoundException",
  "children-unknown": "ReferencedImagesNotFoundException",
  "blob-unknown": "LayersNotFoundException",
  "upload-unknown": "UploadNotFoundException",
  "range-invalid": "InvalidLayerPartException",
  "size-invalid": "InvalidParameterException",
  "disk-full": "LimitExceededException",
};

/** The registry's reason for a failure, if it is one of the registry's. */
export function reasonOf(error: unknown): RegistryReason | undefined {
  const reason = isProblem(error) && "reason" in error ? error.reason : undefined;
  return typeof reason === "string" && reason in CODES ? (reason as RegistryReason) : undefined;
}

/**
 * Runs work on the registry and turns its failures into ECR's, with the registry's message (which is ECR's where known).
 * `codes` replaces the usual code for a reason.
 */
export async function asEcr<T>(work: () => Promise<T>, codes: Readonly<Partial<Record<RegistryReason, string>>> = {}): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined || !(error instanceof Error)) throw error;
    throw new AwsError(codes[reason] ?? CODES[reason], error.message, { cause: error });
  }
}

export function invalidParameter(message: string): AwsError {
  return new AwsError("InvalidParameterException", message);
}

export function layersNotFound(repository: RepositoryRef, digest: string): AwsError {
  const message = `The layer with digest '${digest}' does not exist in the repository with name '${repository.name}' in the registry with id '${repository.account}'`;
  return new AwsError("LayersNotFoundException", message);
}

export function imageNotFound(repository: RepositoryRef, id: { readonly imageDigest?: string; readonly imageTag?: string }): AwsError {
  const text = `{imageDigest:'${id.imageDigest ?? "null"}', imageTag:'${id.imageTag ?? "null"}'}`;
  const message = `The image with imageId ${text} does not exist within the repository with name '${repository.name}' in the registry with id '${repository.account}'`;
  return new AwsError("ImageNotFoundException", message);
}
