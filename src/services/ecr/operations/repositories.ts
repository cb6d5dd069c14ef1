import type {
  CreateRepositoryRequest,
  CreateRepositoryResponse,
  DeleteRepositoryRequest,
  DeleteRepositoryResponse,
  DescribeRepositoriesRequest,
  DescribeRepositoriesResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import { asEcr } from "../errors.ts";
import { afterOf, pageSize, tokenOf } from "../paging.ts";
import { checkRegistry, repositoryOf, type EcrRoom } from "../room.ts";
import { mutabilityOf, SCANNING_REFUSED } from "./repository-settings.ts";
import { mergedTags } from "./tags.ts";
import { repositoryView } from "../views.ts";

/** @see https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html */
export function createRepository({ registry, port }: EcrRoom): Operation<CreateRepositoryRequest, CreateRepositoryResponse> {
  return {
    name: "CreateRepository",
    members: {
      registryId: "used",
      repositoryName: "used",
      tags: "used",
      imageTagMutability: "used",
      imageTagMutabilityExclusionFilters: "used",
      imageScanningConfiguration: "used",
      "imageScanningConfiguration.scanOnPush": SCANNING_REFUSED,
      encryptionConfiguration: "used",
      "encryptionConfiguration.encryptionType": { refused: "blobs are kept as the host's disk keeps them", unless: ["AES256"] },
      "encryptionConfiguration.kmsKey": { refused: "blobs are kept as the host's disk keeps them" },
    },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "CreateRepository");
      const settings = { ...mutabilityOf(input), tags: mergedTags({}, input.tags ?? []) };
      return { repository: repositoryView(await asEcr(() => registry.repositories.create(repository, settings)), port) };
    },
  };
}

/** Those named, in that order, or all in name order, page by page. */
export function describeRepositories({ registry, port }: EcrRoom): Operation<DescribeRepositoriesRequest, DescribeRepositoriesResponse> {
  return {
    name: "DescribeRepositories",
    members: { registryId: "used", repositoryNames: "used", nextToken: "used", maxResults: "used" },
    async handle(input, context) {
      checkRegistry(input.registryId, context, { operation: "DescribeRepositories", repositoryName: "*" });
      const scope = { account: context.account, region: context.region };
      if (input.repositoryNames !== undefined && input.repositoryNames.length > 0) {
        const found = await asEcr(() => Promise.all((input.repositoryNames ?? []).map((name) => registry.repositories.get({ ...scope, name }))));
        return { repositories: found.map((repository) => repositoryView(repository, port)) };
      }
      const limit = pageSize(input);
      const after = afterOf(input);
      const found = await registry.repositories.list(scope, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
      const shown = found.slice(0, limit);
      const last = shown.at(-1);
      const repositories = shown.map((repository) => repositoryView(repository, port));
      return found.length > limit && last !== undefined ? { repositories, nextToken: tokenOf(last.name) } : { repositories };
    },
  };
}

/** With `force`, with its images; their blobs go at the next garbage collection. */
export function deleteRepository({ registry, port }: EcrRoom): Operation<DeleteRepositoryRequest, DeleteRepositoryResponse> {
  return {
    name: "DeleteRepository",
    members: { registryId: "used", repositoryName: "used", force: "used" },
    async handle(input, context) {
      const repository = repositoryOf(input, context, "DeleteRepository");
      return { repository: repositoryView(await asEcr(() => registry.repositories.delete(repository, { force: input.force ?? false })), port) };
    },
  };
}
