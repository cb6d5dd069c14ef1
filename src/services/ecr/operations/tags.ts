import type {
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  Tag,
  TagResourceRequest,
  TagResourceResponse,
  UntagResourceRequest,
  UntagResourceResponse,
} from "@aws-sdk/client-ecr";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { asEcr } from "../errors.ts";
import { repositoryOfArn, type EcrRoom } from "../room.ts";
import { tagsView } from "../views.ts";

const TAG_LIMIT = 50;

/** @throws AwsError `InvalidTagParameterException`, `TooManyTagsException`. */
export function mergedTags(before: Readonly<Record<string, string>>, added: readonly Tag[]): Readonly<Record<string, string>> {
  const keys = new Set<string>();
  for (const { Key = "", Value = "" } of added) {
    if (Key.length < 1 || Key.length > 128 || Value.length > 256 || /^aws:/i.test(Key)) {
      throw new AwsError("InvalidTagParameterException", `Invalid parameter at 'tags' failed to satisfy constraint: 'Invalid tag: ${Key}'`);
    }
    if (keys.has(Key))
      throw new AwsError("InvalidTagParameterException", `Invalid parameter at 'tags' failed to satisfy constraint: 'Duplicate tag key: ${Key}'`);
    keys.add(Key);
  }
  const merged = { ...before, ...Object.fromEntries(added.map(({ Key = "", Value = "" }) => [Key, Value])) };
  if (Object.keys(merged).length > TAG_LIMIT)
    throw new AwsError("TooManyTagsException", `The list of tags on the repository is over the limit of ${TAG_LIMIT}`);
  return merged;
}

export function tagResource({ registry }: EcrRoom): Operation<TagResourceRequest, TagResourceResponse> {
  return {
    name: "TagResource",
    members: { resourceArn: "used", tags: "used" },
    async handle(input, context) {
      const repository = repositoryOfArn(input.resourceArn, context);
      const { tags } = await asEcr(() => registry.repositories.get(repository));
      await asEcr(() => registry.repositories.update(repository, { tags: mergedTags(tags, input.tags ?? []) }));
      return {};
    },
  };
}

export function untagResource({ registry }: EcrRoom): Operation<UntagResourceRequest, UntagResourceResponse> {
  return {
    name: "UntagResource",
    members: { resourceArn: "used", tagKeys: "used" },
    async handle(input, context) {
      const repository = repositoryOfArn(input.resourceArn, context);
      const { tags } = await asEcr(() => registry.repositories.get(repository));
      const left = Object.fromEntries(Object.entries(tags).filter(([key]) => !(input.tagKeys ?? []).includes(key)));
      await asEcr(() => registry.repositories.update(repository, { tags: left }));
      return {};
    },
  };
}

export function listTagsForResource({ registry }: EcrRoom): Operation<ListTagsForResourceRequest, ListTagsForResourceResponse> {
  return {
    name: "ListTagsForResource",
    members: { resourceArn: "used" },
    async handle(input, context) {
      const { tags } = await asEcr(() => registry.repositories.get(repositoryOfArn(input.resourceArn, context)));
      return { tags: tagsView(tags) };
    },
  };
}
