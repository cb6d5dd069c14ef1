import { invalidParameter } from "./errors.ts";

const PAGE = 100;

export interface PageRequest {
  readonly maxResults?: number | undefined;
  readonly nextToken?: string | undefined;
}

/** A page of a list, in the order of its keys. @throws InvalidParameterException for a token of no list. */
export function pageOf<T>(
  all: readonly T[],
  keyOf: (item: T) => string,
  { maxResults = PAGE, nextToken }: PageRequest,
): { readonly items: readonly T[]; readonly nextToken?: string } {
  const after = nextToken === undefined ? undefined : Buffer.from(nextToken, "base64url").toString();
  if (after === "") throw invalidParameter("The nextToken is not valid");
  const rest = all.filter((item) => after === undefined || keyOf(item) > after).toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const items = rest.slice(0, maxResults);
  const last = items.at(-1);
  return last === undefined || rest.length === items.length ? { items } : { items, nextToken: Buffer.from(keyOf(last)).toString("base64url") };
}
