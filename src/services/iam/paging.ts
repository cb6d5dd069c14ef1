import { validationError } from "./errors.ts";

/** IAM's way of paging: `MaxItems` (default 100) and an opaque `Marker`. */
export interface PageRequest {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly IsTruncated: boolean;
  readonly Marker?: string;
}

/** One page of `all`, which is sorted by `keyOf`. @throws AwsError ValidationError for a marker that is none of ours. */
export function pageOf<T>(all: readonly T[], request: PageRequest, keyOf: (item: T) => string): Page<T> {
  const after = request.Marker === undefined ? undefined : readMarker(request.Marker);
  const rest = after === undefined ? all : all.filter((item) => keyOf(item) > after);
  const items = rest.slice(0, request.MaxItems ?? 100);
  const last = items.at(-1);
  if (items.length === rest.length || last === undefined) return { items, IsTruncated: false };
  return { items, IsTruncated: true, Marker: Buffer.from(`after:${keyOf(last)}`).toString("base64url") };
}

function readMarker(marker: string): string {
  const text = Buffer.from(marker, "base64url").toString();
  if (!text.startsWith("after:")) throw validationError("Invalid Marker.");
  return text.slice("after:".length);
}

/** In the order of their keys, for `pageOf`. */
export function sortedBy<T>(items: Iterable<T>, keyOf: (item: T) => string): readonly T[] {
  return [...items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0));
}
