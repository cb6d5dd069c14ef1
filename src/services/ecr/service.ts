import type { Service, Toolbox } from "../../contracts/service.ts";
import {
  batchCheckLayerAvailability,
  completeLayerUpload,
  getDownloadUrlForLayer,
  initiateLayerUpload,
  uploadLayerPart,
} from "./operations/layers.ts";
import { getLifecyclePolicy, getRepositoryPolicy } from "./operations/policies.ts";
import { batchGetImage, describeImages, listImageReferrers, listImages } from "./operations/read-images.ts";
import { describeRegistry, getAuthorizationToken } from "./operations/registry.ts";
import { createRepository, deleteRepository, describeRepositories } from "./operations/repositories.ts";
import { putImageScanningConfiguration, putImageTagMutability } from "./operations/repository-settings.ts";
import { listTagsForResource, tagResource, untagResource } from "./operations/tags.ts";
import { batchDeleteImage, putImage } from "./operations/write-images.ts";
import type { ImageRegistry } from "./ports.ts";
import type { EcrRoom } from "./room.ts";

export interface EcrOptions {
  readonly registry: ImageRegistry;
  readonly toolbox: Toolbox;
  /** `port`: where the registry listens; repository URIs are `localhost:<port>/<name>`. */
  readonly config: { readonly port: number };
}

/** Amazon ECR's API over the registry. It keeps no records of its own. */
export function createEcrService(options: EcrOptions): Service {
  const room: EcrRoom = { registry: options.registry, port: options.config.port };
  return {
    name: "ecr",
    signingName: "ecr",
    targetPrefix: "AmazonEC2ContainerRegistry_V20150921",
    apiVersion: "2015-09-21",
    protocol: "awsJson1_1",
    loadSchemas: () => import("@aws-sdk/client-ecr"),
    errorCodes: { invalid: "InvalidParameterException", unsupported: "InvalidParameterException" },
    operations: [
      batchCheckLayerAvailability(room),
      batchDeleteImage(room),
      batchGetImage(room),
      completeLayerUpload(room),
      createRepository(room),
      deleteRepository(room),
      describeImages(room),
      describeRegistry(),
      describeRepositories(room),
      getAuthorizationToken(room),
      getDownloadUrlForLayer(room),
      getLifecyclePolicy(room),
      getRepositoryPolicy(room),
      initiateLayerUpload(room),
      listImageReferrers(room),
      listImages(room),
      listTagsForResource(room),
      putImage(room),
      putImageScanningConfiguration(room),
      putImageTagMutability(room),
      tagResource(room),
      untagResource(room),
      uploadLayerPart(room),
    ],
  };
}
