/** EC2's filters: values of one filter are alternatives, several filters must all hold, `*` stands for any characters, `?` for one, `\` before them for themselves. */
import type { Filter } from "@aws-sdk/client-ec2";
import { fitsWildcard } from "../../core/wildcard.ts";
import { invalidValue } from "./errors.ts";

/** What a filter of a name compares: the item's values under it. */
export type FilterFields<T> = Readonly<Record<string, (item: T) => readonly (string | number | boolean | undefined)[]>>;

/** Filters that each taggable resource has beside its own: `tag:<key>` and `tag-key`. */
export interface Tagged {
  readonly tags: Readonly<Record<string, string>>;
}

/** @throws AwsError `InvalidParameterValue` for a filter that the operation does not have. */
export function applyFilters<T>(items: readonly T[], filters: readonly Filter[] | undefined, fields: FilterFields<T>): readonly T[] {
  const tests = (filters ?? []).map((filter) => {
    const values = valuesOf(filter.Name ?? "", fields);
    const patterns = filter.Values ?? [];
    const fits = (value: string): boolean => patterns.some((pattern) => fitsWildcard(pattern, value, { escapes: true }));
    return (item: T): boolean => values(item).some((value) => value !== undefined && fits(String(value)));
  });
  return items.filter((item) => tests.every((test) => test(item)));
}

function valuesOf<T>(name: string, fields: FilterFields<T>): FilterFields<T>[string] {
  const own = fields[name];
  if (own !== undefined && Object.hasOwn(fields, name)) return own;
  if (name.startsWith("tag:") && fields["tag-key"] !== undefined) {
    const key = name.slice("tag:".length);
    return (item) => [(item as Tagged).tags[key]];
  }
  throw invalidValue(`The filter '${name}' is invalid`);
}

/** The `tag-key` filter, which also says that `tag:<key>` is one. */
export const tagFilters = { "tag-key": (item: Tagged): readonly string[] => Object.keys(item.tags) };
