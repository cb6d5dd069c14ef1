import type { Tag } from "@aws-sdk/client-ecs";
import { invalidParameter } from "./errors.ts";
import type { TagRecord } from "./records.ts";

const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const MAXIMUM_TAGS = 50;

/**
 * Checks tags by ECS's rules and answers them for storing.
 * @throws InvalidParameterException for a reserved, empty, doubled or ill-formed key, or more than 50.
 */
export function readTags(tags: readonly Tag[] | undefined): readonly TagRecord[] {
  const records = (tags ?? []).map((tag) => ({ key: tag.key ?? "", value: tag.value ?? "" }));
  if (records.length > MAXIMUM_TAGS) throw invalidParameter("The maximum number of tags that can be applied to a resource is 50.");
  for (const { key, value } of records) {
    if (key.length < 1 || key.length > 128 || !TAG_TEXT.test(key)) throw invalidParameter(`Tag key '${key}' is not valid.`);
    if (value.length > 256 || !TAG_TEXT.test(value)) throw invalidParameter(`The value of tag '${key}' is not valid.`);
    if (/^aws:/i.test(key)) throw invalidParameter("Tag keys can't start with 'aws:'. This prefix is reserved for AWS use.");
  }
  if (new Set(records.map((tag) => tag.key)).size !== records.length) throw invalidParameter("Duplicate tag keys found. Tag keys must be unique.");
  return records;
}

/** `added` over `present`, by key. @throws InvalidParameterException beyond 50. */
export function mergeTags(present: readonly TagRecord[], added: readonly TagRecord[]): readonly TagRecord[] {
  const merged = new Map([...present, ...added].map((tag) => [tag.key, tag]));
  if ([...merged.keys()].filter((key) => !key.startsWith("aws:")).length > MAXIMUM_TAGS) {
    throw invalidParameter("The maximum number of tags that can be applied to a resource is 50.");
  }
  return [...merged.values()];
}

/** Without the keys in `removed`. */
export function withoutTags(present: readonly TagRecord[], removed: readonly string[]): readonly TagRecord[] {
  return present.filter((tag) => !removed.includes(tag.key));
}

/** The tags that ECS adds to tasks under `enableECSManagedTags`. */
export function managedTags(cluster: string, service: string | undefined): readonly TagRecord[] {
  const clusterTag = { key: "aws:ecs:clusterName", value: cluster };
  return service === undefined ? [clusterTag] : [clusterTag, { key: "aws:ecs:serviceName", value: service }];
}
