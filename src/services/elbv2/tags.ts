import { AwsError } from "../../core/aws-error.ts";
import type { Tags } from "../../contracts/load-balancing.ts";

const MAX_TAGS = 50;

export interface TagInput {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

/** Tags after an addition. @throws AwsError DuplicateTagKeys, TooManyTags, ValidationError. */
export function withTags(before: Tags, added: readonly TagInput[] = []): Tags {
  const keys = added.map(({ Key = "" }) => Key);
  const twice = keys.find((key, index) => keys.indexOf(key) !== index);
  if (twice !== undefined) throw new AwsError("DuplicateTagKeys", `Tag keys must be unique; '${twice}' was given more than once`);
  const reserved = keys.find((key) => key.toLowerCase().startsWith("aws:"));
  if (reserved !== undefined) throw new AwsError("ValidationError", `Tag keys that begin with 'aws:' are reserved; '${reserved}' is one`);
  const after = { ...before, ...Object.fromEntries(added.map(({ Key = "", Value = "" }) => [Key, Value])) };
  if (Object.keys(after).length > MAX_TAGS) throw new AwsError("TooManyTags", `A resource can have at most ${MAX_TAGS} tags`);
  return after;
}

export function withoutTags(before: Tags, keys: readonly string[]): Tags {
  return Object.fromEntries(Object.entries(before).filter(([key]) => !keys.includes(key)));
}

export function tagList(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}
