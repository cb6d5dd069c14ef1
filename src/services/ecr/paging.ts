import { invalidParameter } from "./errors.ts";

const DEFAULT_RESULTS = 100;

export interface PageRequest {
  readonly maxResults?: number | undefined;
  readonly nextToken?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextToken?: string;
}

/** How many a page may have. */
export function pageSize(request: PageRequest): number {
  return request.maxResults ?? DEFAULT_RESULTS;
}

/** The key that the page before ended with. @throws AwsError `InvalidParameterException` for a token that is none of ours. */
export function afterOf(request: PageRequest): string | undefined {
  if (request.nextToken === undefined) return undefined;
  const text = Buffer.from(request.nextToken, "base64url").toString();
  if (!text.startsWith("after:")) throw invalidParameter("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'");
  return text.slice("after:".length);
}

export function tokenOf(key: string): string {
  return Buffer.from(`after:${key}`).toString("base64url");
}

/** Cuts a page out of all items, which are in the order of their keys. */
export function pageOf<T>(all: readonly T[], request: PageRequest, keyOf: (item: T) => string): Page<T> {
  const after = afterOf(request);
  const rest = after === undefined ? all : all.filter((item) => keyOf(item) > after);
  const items = rest.slice(0, pageSize(request));
  const last = items.at(-1);
  return rest.length > items.length && last !== undefined ? { items, nextToken: tokenOf(keyOf(last)) } : { items };
}
