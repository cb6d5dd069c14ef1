import type {
  BatchCheckLayerAvailabilityRequest,
  BatchCheckLayerAvailabilityResponse,
  CompleteLayerUploadRequest,
  CompleteLayerUploadResponse,
  GetDownloadUrlForLayerRequest,
  GetDownloadUrlForLayerResponse,
  InitiateLayerUploadRequest,
  InitiateLayerUploadResponse,
  Layer,
  LayerFailure,
  UploadLayerPartRequest,
  UploadLayerPartResponse,
} from "@aws-sdk/client-ecr";
import { Readable } from "node:stream";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { asEcr, layersNotFound } from "../errors.ts";
import { repositoryOf, type EcrRoom } from "../room.ts";

/** @see ECR quotas: 5 to 10 MiB a part. */
const PART_SIZE_BYTES = 10 * 1024 * 1024;
const DIGEST = /^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$/;

export function batchCheckLayerAvailability({
  registry,
}: EcrRoom): Operation<BatchCheckLayerAvailabilityRequest, BatchCheckLayerAvailabilityResponse> {
  return {
    name: "BatchCheckLayerAvailability",
    members: { registryId: "used", repositoryName: "used", layerDigests: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "BatchCheckLayerAvailability");
      await asEcr(() => registry.repositories.get(repository));
      const layers: Layer[] = [];
      const failures: LayerFailure[] = [];
      for (const layerDigest of input.layerDigests ?? []) {
        if (!DIGEST.test(layerDigest)) {
          const failureReason = "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
          failures.push({ layerDigest, failureCode: layerDigest === "" ? "MissingLayerDigest" : "InvalidLayerDigest", failureReason });
          continue;
        }
        const held = await registry.images.holdBlob(repository, layerDigest);
        layers.push(
          held === undefined
            ? { layerDigest, layerAvailability: "UNAVAILABLE" }
            : { layerDigest, layerAvailability: "AVAILABLE", layerSize: held.sizeBytes },
        );
      }
      return { layers, failures };
    },
  };
}

/** A URL on this instance that opens the one layer for an hour, without a token. */
export function getDownloadUrlForLayer({ registry }: EcrRoom): Operation<GetDownloadUrlForLayerRequest, GetDownloadUrlForLayerResponse> {
  return {
    name: "GetDownloadUrlForLayer",
    members: { registryId: "used", repositoryName: "used", layerDigest: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "GetDownloadUrlForLayer");
      await asEcr(() => registry.repositories.get(repository));
      const layerDigest = input.layerDigest ?? "";
      if ((await registry.images.holdBlob(repository, layerDigest)) === undefined) throw layersNotFound(repository, layerDigest);
      return { layerDigest, downloadUrl: `http://${context.host}${registry.layerPath(repository, layerDigest)}` };
    },
  };
}

export function initiateLayerUpload({ registry }: EcrRoom): Operation<InitiateLayerUploadRequest, InitiateLayerUploadResponse> {
  return {
    name: "InitiateLayerUpload",
    members: { registryId: "used", repositoryName: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "InitiateLayerUpload");
      await asEcr(() => registry.repositories.get(repository));
      return { uploadId: await asEcr(() => registry.uploads.start(repository)), partSize: PART_SIZE_BYTES };
    },
  };
}

/** Parts must come in order. @throws AwsError `InvalidLayerPartException` with the last byte received. */
export function uploadLayerPart({ registry }: EcrRoom): Operation<UploadLayerPartRequest, UploadLayerPartResponse> {
  return {
    name: "UploadLayerPart",
    members: { registryId: "used", repositoryName: "used", uploadId: "used", partFirstByte: "used", partLastByte: "used", layerPartBlob: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "UploadLayerPart");
      const uploadId = input.uploadId ?? "";
      const startByte = input.partFirstByte ?? 0;
      const part = Buffer.from(input.layerPartBlob ?? []);
      const offset = await asEcr(() => registry.uploads.offset(repository, uploadId));
      if (startByte !== offset || (input.partLastByte ?? 0) - startByte + 1 !== part.length) {
        const facts = { registryId: repository.account, repositoryName: repository.name, uploadId, lastValidByteReceived: offset - 1 };
        const message = `Part with first byte ${startByte}, last byte ${input.partLastByte} and ${part.length} bytes does not follow on byte ${offset - 1}, the last one received, of upload '${uploadId}'`;
        throw new AwsError("InvalidLayerPartException", message, { fields: facts });
      }
      const content = Readable.from([part], { objectMode: false });
      const received = await asEcr(() => registry.uploads.append(repository, uploadId, { content, claim: { startByte, lengthBytes: part.length } }));
      return { registryId: repository.account, repositoryName: repository.name, uploadId, lastByteReceived: received - 1 };
    },
  };
}

/** Differs: parts of less than 5 MiB are taken too. */
export function completeLayerUpload({ registry }: EcrRoom): Operation<CompleteLayerUploadRequest, CompleteLayerUploadResponse> {
  return {
    name: "CompleteLayerUpload",
    members: { registryId: "used", repositoryName: "used", uploadId: "used", layerDigests: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "CompleteLayerUpload");
      const uploadId = input.uploadId ?? "";
      const layerDigest = input.layerDigests?.[0] ?? "";
      const offset = await asEcr(() => registry.uploads.offset(repository, uploadId));
      if (offset === 0) throw new AwsError("EmptyUploadException", `The upload '${uploadId}' has no layer parts`);
      if ((await registry.images.holdBlob(repository, layerDigest)) !== undefined) {
        const message = `Layer with digest '${layerDigest}' already exists in the repository with name '${repository.name}' in the registry with id '${repository.account}'`;
        throw new AwsError("LayerAlreadyExistsException", message);
      }
      const codes = { "digest-mismatch": "InvalidLayerException", "digest-invalid": "InvalidLayerException" } as const;
      await asEcr(() => registry.uploads.complete(repository, uploadId, layerDigest), codes);
      return { registryId: repository.account, repositoryName: repository.name, uploadId, layerDigest };
    },
  };
}
