/** ECR through the gateway, with the official SDK client, over the registry that docker would push to. */
import {
  BatchCheckLayerAvailabilityCommand,
  BatchDeleteImageCommand,
  BatchGetImageCommand,
  CompleteLayerUploadCommand,
  CreateRepositoryCommand,
  DeleteRepositoryCommand,
  DescribeImagesCommand,
  DescribeRegistryCommand,
  DescribeRepositoriesCommand,
  type ECRClient,
  GetAuthorizationTokenCommand,
  GetDownloadUrlForLayerCommand,
  GetLifecyclePolicyCommand,
  GetRepositoryPolicyCommand,
  InitiateLayerUploadCommand,
  ListImageReferrersCommand,
  ListImagesCommand,
  ListTagsForResourceCommand,
  paginateListImages,
  PutImageCommand,
  PutImageScanningConfigurationCommand,
  PutImageTagMutabilityCommand,
  PutLifecyclePolicyCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UploadLayerPartCommand,
} from "@aws-sdk/client-ecr";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/registry/manifest-document.ts";
import { blobOf, manifestOf, type TestBlob } from "../../src/registry/test-registry.ts";
import { startEcr, type TestEcr } from "./ecr-instance.ts";

let server: TestEcr;
let ecr: ECRClient;
beforeAll(async () => {
  server = await startEcr();
  ecr = server.client();
});
afterAll(async () => {
  ecr.destroy();
  await server[Symbol.asyncDispose]();
});

async function newRepository(): Promise<string> {
  const repositoryName = `r${randomBytes(6).toString("hex")}`;
  await ecr.send(new CreateRepositoryCommand({ repositoryName }));
  return repositoryName;
}

async function upload(repositoryName: string, blob: TestBlob): Promise<void> {
  const { uploadId } = await ecr.send(new InitiateLayerUploadCommand({ repositoryName }));
  const last = blob.bytes.length - 1;
  await ecr.send(new UploadLayerPartCommand({ repositoryName, uploadId, partFirstByte: 0, partLastByte: last, layerPartBlob: blob.bytes }));
  await ecr.send(new CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [blob.digest] }));
}

async function putImage(repositoryName: string, imageTag?: string): Promise<{ readonly manifest: TestBlob; readonly layer: TestBlob }> {
  const [config, layer] = [blobOf(), blobOf()];
  await upload(repositoryName, config);
  await upload(repositoryName, layer);
  const manifest = manifestOf(config, [layer]);
  await ecr.send(new PutImageCommand({ repositoryName, imageManifest: manifest.bytes.toString(), imageTag }));
  return { manifest, layer };
}

const failure = (name: string, message?: string): object =>
  expect.objectContaining({ name, ...(message === undefined ? {} : { message: expect.stringContaining(message) as string }) }) as object;

describe("repositories", () => {
  it("are made, described and deleted as on AWS", async () => {
    const repositoryName = `team/${randomBytes(6).toString("hex")}`;
    const { repository } = await ecr.send(new CreateRepositoryCommand({ repositoryName, tags: [{ Key: "a", Value: "1" }] }));
    expect(repository).toEqual({
      repositoryArn: `arn:aws:ecr:eu-central-1:123456789012:repository/${repositoryName}`,
      registryId: "123456789012",
      repositoryName,
      repositoryUri: `localhost:${server.port}/${repositoryName}`,
      createdAt: expect.any(Date),
      imageTagMutability: "MUTABLE",
      imageScanningConfiguration: { scanOnPush: false },
      encryptionConfiguration: { encryptionType: "AES256" },
    });
    const twice = ecr.send(new CreateRepositoryCommand({ repositoryName }));
    const message = `The repository with name '${repositoryName}' already exists in the registry with id '123456789012'`;
    await expect(twice).rejects.toEqual(failure("RepositoryAlreadyExistsException", message));
    const found = await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }));
    expect(found.repositories).toEqual([repository]);
    await ecr.send(new DeleteRepositoryCommand({ repositoryName }));
    const gone = ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }));
    await expect(gone).rejects.toEqual(failure("RepositoryNotFoundException", `The repository with name '${repositoryName}' does not exist`));
  });

  it("are listed page by page, and only those of the region", async () => {
    const west = server.client("us-west-2");
    for (const repositoryName of ["cc", "aa", "bb"]) await west.send(new CreateRepositoryCommand({ repositoryName }));
    const first = await west.send(new DescribeRepositoriesCommand({ maxResults: 2 }));
    expect(first.repositories?.map((one) => one.repositoryName)).toEqual(["aa", "bb"]);
    const second = await west.send(new DescribeRepositoriesCommand({ maxResults: 2, nextToken: first.nextToken }));
    expect([second.repositories?.map((one) => one.repositoryName), second.nextToken]).toEqual([["cc"], undefined]);
    const wrong = west.send(new DescribeRepositoriesCommand({ nextToken: "nonsense" }));
    await expect(wrong).rejects.toEqual(failure("InvalidParameterException"));
    west.destroy();
  });

  it("with images are deleted only by force", async () => {
    const repositoryName = await newRepository();
    await putImage(repositoryName, "v1");
    await expect(ecr.send(new DeleteRepositoryCommand({ repositoryName }))).rejects.toEqual(
      failure("RepositoryNotEmptyException", "still contains images"),
    );
    await ecr.send(new DeleteRepositoryCommand({ repositoryName, force: true }));
  });

  it("have tags", async () => {
    const repositoryName = await newRepository();
    const resourceArn = `arn:aws:ecr:eu-central-1:123456789012:repository/${repositoryName}`;
    await ecr.send(
      new TagResourceCommand({
        resourceArn,
        tags: [
          { Key: "a", Value: "1" },
          { Key: "b", Value: "2" },
        ],
      }),
    );
    await ecr.send(new UntagResourceCommand({ resourceArn, tagKeys: ["a"] }));
    expect((await ecr.send(new ListTagsForResourceCommand({ resourceArn }))).tags).toEqual([{ Key: "b", Value: "2" }]);
    const reserved = ecr.send(new TagResourceCommand({ resourceArn, tags: [{ Key: "aws:x", Value: "1" }] }));
    await expect(reserved).rejects.toEqual(failure("InvalidTagParameterException"));
  });

  it("refuse by name what is not acted on", async () => {
    const repositoryName = "refused";
    const scanning = ecr.send(new CreateRepositoryCommand({ repositoryName, imageScanningConfiguration: { scanOnPush: true } }));
    await expect(scanning).rejects.toEqual(failure("InvalidParameterException", "scanOnPush"));
    const encryption = ecr.send(new CreateRepositoryCommand({ repositoryName, encryptionConfiguration: { encryptionType: "KMS" } }));
    await expect(encryption).rejects.toEqual(failure("InvalidParameterException", "encryptionType"));
    const reserved = ecr.send(new CreateRepositoryCommand({ repositoryName: "tidegate-public/docker.io/library/node" }));
    await expect(reserved).rejects.toEqual(failure("InvalidParameterException", "reserved"));
    const name = await newRepository();
    const policy = ecr.send(new PutLifecyclePolicyCommand({ repositoryName: name, lifecyclePolicyText: `{"rules":[]}${" ".repeat(100)}` }));
    await expect(policy).rejects.toThrow("PutLifecyclePolicy");
    const turnOn = ecr.send(new PutImageScanningConfigurationCommand({ repositoryName: name, imageScanningConfiguration: { scanOnPush: true } }));
    await expect(turnOn).rejects.toEqual(failure("InvalidParameterException", "scanOnPush"));
    await ecr.send(new PutImageScanningConfigurationCommand({ repositoryName: name, imageScanningConfiguration: { scanOnPush: false } }));
    await ecr.send(new CreateRepositoryCommand({ repositoryName: "allowed", encryptionConfiguration: { encryptionType: "AES256" } }));
  });

  it("say, as Terraform expects, that they have no policies", async () => {
    const repositoryName = await newRepository();
    await expect(ecr.send(new GetRepositoryPolicyCommand({ repositoryName }))).rejects.toEqual(failure("RepositoryPolicyNotFoundException"));
    await expect(ecr.send(new GetLifecyclePolicyCommand({ repositoryName }))).rejects.toEqual(failure("LifecyclePolicyNotFoundException"));
    expect(await ecr.send(new DescribeRegistryCommand({}))).toMatchObject({ registryId: "123456789012", replicationConfiguration: { rules: [] } });
  });

  it("of another account are closed", async () => {
    const foreign = ecr.send(new DescribeRepositoriesCommand({ registryId: "999999999999" }));
    await expect(foreign).rejects.toEqual(failure("AccessDeniedException", "is not authorized to perform: ecr:DescribeRepositories"));
  });
});

describe("images", () => {
  it("are put, listed, described and fetched", async () => {
    const repositoryName = await newRepository();
    const { manifest, layer } = await putImage(repositoryName, "v1");
    const imageManifest = manifest.bytes.toString();
    await ecr.send(new PutImageCommand({ repositoryName, imageManifest, imageTag: "v2" }));
    const again = ecr.send(new PutImageCommand({ repositoryName, imageManifest, imageTag: "v2" }));
    const words = `Image with digest '${manifest.digest}' and tag 'v2' already exists in the repository with name '${repositoryName}' in registry with id '123456789012'`;
    await expect(again).rejects.toEqual(failure("ImageAlreadyExistsException", words));
    const { manifest: untagged } = await putImage(repositoryName);
    const listed = await ecr.send(new ListImagesCommand({ repositoryName, filter: { tagStatus: "TAGGED" } }));
    expect(listed.imageIds).toEqual(["v1", "v2"].map((imageTag) => ({ imageDigest: manifest.digest, imageTag })));
    const rest = await ecr.send(new ListImagesCommand({ repositoryName, filter: { tagStatus: "UNTAGGED" } }));
    expect(rest.imageIds).toEqual([{ imageDigest: untagged.digest }]);
    const paged: unknown[] = [];
    for await (const page of paginateListImages({ client: ecr, pageSize: 1 }, { repositoryName })) paged.push(...(page.imageIds ?? []));
    expect(paged).toHaveLength(3);
    const described = await ecr.send(new DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag: "v1" }] }));
    expect(described.imageDetails).toEqual([
      {
        registryId: "123456789012",
        repositoryName,
        imageDigest: manifest.digest,
        imageTags: ["v1", "v2"],
        imageSizeInBytes: 64 + layer.bytes.length,
        imagePushedAt: expect.any(Date),
        imageManifestMediaType: OCI_MANIFEST,
        artifactMediaType: "application/vnd.oci.image.config.v1+json",
        imageStatus: "ACTIVE",
      },
    ]);
    const missing = ecr.send(new DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag: "none" }] }));
    const text = `The image with imageId {imageDigest:'null', imageTag:'none'} does not exist within the repository with name '${repositoryName}'`;
    await expect(missing).rejects.toEqual(failure("ImageNotFoundException", text));
    const got = await ecr.send(
      new BatchGetImageCommand({ repositoryName, imageIds: [{ imageTag: "v1" }, { imageTag: "none" }, { imageDigest: "x" }] }),
    );
    expect(got.images).toMatchObject([{ imageId: { imageDigest: manifest.digest, imageTag: "v1" }, imageManifest }]);
    expect(got.failures?.map((one) => one.failureCode)).toEqual(["ImageNotFound", "InvalidImageDigest"]);
  });

  it("need their layers and children", async () => {
    const repositoryName = await newRepository();
    const absent = blobOf();
    const noLayers = ecr.send(new PutImageCommand({ repositoryName, imageManifest: manifestOf(absent, []).bytes.toString() }));
    await expect(noLayers).rejects.toEqual(failure("LayersNotFoundException", absent.digest));
    const manifests = [{ mediaType: OCI_MANIFEST, digest: absent.digest, size: 64 }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    const noChildren = ecr.send(new PutImageCommand({ repositoryName, imageManifest: index }));
    await expect(noChildren).rejects.toEqual(failure("ReferencedImagesNotFoundException", absent.digest));
    const { manifest } = await putImage(repositoryName, "v1");
    const other = ecr.send(new PutImageCommand({ repositoryName, imageManifest: manifest.bytes.toString(), imageDigest: absent.digest }));
    await expect(other).rejects.toEqual(failure("ImageDigestDoesNotMatchException"));
    await expect(ecr.send(new PutImageCommand({ repositoryName, imageManifest: "{" }))).rejects.toEqual(failure("InvalidParameterException"));
  });

  it("keep their tags in an immutable repository", async () => {
    const repositoryName = await newRepository();
    await putImage(repositoryName, "v1");
    await ecr.send(new PutImageTagMutabilityCommand({ repositoryName, imageTagMutability: "IMMUTABLE" }));
    await expect(putImage(repositoryName, "v1")).rejects.toEqual(
      failure("ImageTagAlreadyExistsException", "cannot be overwritten because the repository is immutable."),
    );
    const noFilters = ecr.send(new PutImageTagMutabilityCommand({ repositoryName, imageTagMutability: "MUTABLE_WITH_EXCLUSION" }));
    await expect(noFilters).rejects.toEqual(failure("InvalidParameterException"));
  });

  it("go with their last tag, but not from under an index", async () => {
    const repositoryName = await newRepository();
    const { manifest } = await putImage(repositoryName, "v1");
    await ecr.send(new PutImageCommand({ repositoryName, imageManifest: manifest.bytes.toString(), imageTag: "v2" }));
    const remove = (imageIds: { imageTag?: string; imageDigest?: string }[]): Promise<{ imageIds?: unknown; failures?: unknown }> =>
      ecr.send(new BatchDeleteImageCommand({ repositoryName, imageIds }));
    await remove([{ imageTag: "v1" }]);
    expect((await ecr.send(new ListImagesCommand({ repositoryName }))).imageIds).toEqual([{ imageDigest: manifest.digest, imageTag: "v2" }]);
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [{ mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length }],
    };
    await ecr.send(new PutImageCommand({ repositoryName, imageManifest: JSON.stringify(index), imageTag: "multi" }));
    expect(await remove([{ imageDigest: manifest.digest }])).toMatchObject({
      imageIds: [],
      failures: [{ failureCode: "ImageReferencedByManifestList" }],
    });
    expect(await remove([{ imageTag: "multi" }, { imageTag: "v2" }, { imageTag: "none" }])).toMatchObject({
      imageIds: [{ imageTag: "multi" }, { imageTag: "v2" }],
      failures: [{ failureCode: "ImageNotFound", failureReason: "Requested image not found" }],
    });
    expect((await ecr.send(new ListImagesCommand({ repositoryName }))).imageIds).toEqual([]);
  });

  it("list what refers to them", async () => {
    const repositoryName = await newRepository();
    const { manifest } = await putImage(repositoryName, "v1");
    const empty = blobOf("{}");
    await upload(repositoryName, empty);
    const subject = { mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length };
    const sbom = manifestOf(empty, [], { artifactType: "application/vnd.sbom", subject });
    await ecr.send(new PutImageCommand({ repositoryName, imageManifest: sbom.bytes.toString() }));
    const all = await ecr.send(new ListImageReferrersCommand({ repositoryName, subjectId: { imageDigest: manifest.digest } }));
    expect(all.referrers).toMatchObject([{ digest: sbom.digest, artifactType: "application/vnd.sbom", size: sbom.bytes.length }]);
  });
});

describe("layers", () => {
  it("are uploaded in parts, checked and downloaded", async () => {
    const repositoryName = await newRepository();
    const blob = blobOf(randomBytes(100));
    const { uploadId, partSize } = await ecr.send(new InitiateLayerUploadCommand({ repositoryName }));
    expect(partSize).toBe(10_485_760);
    const part = (first: number, last: number): Promise<{ lastByteReceived?: number }> =>
      ecr.send(
        new UploadLayerPartCommand({
          repositoryName,
          uploadId,
          partFirstByte: first,
          partLastByte: last,
          layerPartBlob: blob.bytes.subarray(first, last + 1),
        }),
      );
    expect((await part(0, 59)).lastByteReceived).toBe(59);
    await expect(part(0, 59)).rejects.toMatchObject({ name: "InvalidLayerPartException", lastValidByteReceived: 59 });
    await part(60, 99);
    const wrong = ecr.send(
      new CompleteLayerUploadCommand({ repositoryName, uploadId: "00000000-0000-4000-8000-000000000000", layerDigests: [blob.digest] }),
    );
    await expect(wrong).rejects.toEqual(failure("UploadNotFoundException"));
    await ecr.send(new CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [blob.digest] }));
    await expect(upload(repositoryName, blob)).rejects.toEqual(failure("LayerAlreadyExistsException"));
    const layerDigests = [blob.digest, blobOf().digest, "nonsense"];
    const checked = await ecr.send(new BatchCheckLayerAvailabilityCommand({ repositoryName, layerDigests }));
    expect(checked.layers).toMatchObject([{ layerAvailability: "AVAILABLE", layerSize: 100 }, { layerAvailability: "UNAVAILABLE" }]);
    expect(checked.failures).toMatchObject([{ failureCode: "InvalidLayerDigest" }]);
    const { downloadUrl } = await ecr.send(new GetDownloadUrlForLayerCommand({ repositoryName, layerDigest: blob.digest }));
    const response = await fetch(downloadUrl ?? "");
    expect(Buffer.from(await response.arrayBuffer()).equals(blob.bytes)).toBe(true);
    const none = ecr.send(new GetDownloadUrlForLayerCommand({ repositoryName, layerDigest: blobOf().digest }));
    await expect(none).rejects.toEqual(failure("LayersNotFoundException"));
  });

  it("with another digest, or empty, are refused", async () => {
    const repositoryName = await newRepository();
    const { uploadId } = await ecr.send(new InitiateLayerUploadCommand({ repositoryName }));
    const empty = ecr.send(new CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [blobOf().digest] }));
    await expect(empty).rejects.toEqual(failure("EmptyUploadException"));
    await ecr.send(new UploadLayerPartCommand({ repositoryName, uploadId, partFirstByte: 0, partLastByte: 0, layerPartBlob: Buffer.from("x") }));
    const wrong = ecr.send(new CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [blobOf().digest] }));
    await expect(wrong).rejects.toEqual(failure("InvalidLayerException"));
  });
});

describe("the token", () => {
  it("opens the region's repositories under their plain names, for twelve hours", async () => {
    const west = server.client("ap-south-1");
    await west.send(new CreateRepositoryCommand({ repositoryName: "regional" }));
    const [data] = (await west.send(new GetAuthorizationTokenCommand({}))).authorizationData ?? [];
    expect(data?.proxyEndpoint).toBe(`http://localhost:${server.port}`);
    expect((data?.expiresAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(11.9 * 3600 * 1000);
    const tags = await fetch(`http://localhost:${server.port}/v2/regional/tags/list`, {
      headers: { authorization: `Basic ${data?.authorizationToken}` },
    });
    expect(await tags.json()).toEqual({ name: "regional", tags: [] });
    west.destroy();
  });
});
