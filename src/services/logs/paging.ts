import { invalid } from "./errors.ts";

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextToken?: string;
}

/**
 * The page of `items`, which are in the order of `compare`, that `token` leads to. The token holds the last item's place, so that items made
 * or deleted between two calls make no other appear twice or not at all. @throws InvalidParameterException for a token of something else.
 */
export function pageOf<T, Place>(
  items: readonly T[],
  options: { readonly limit: number; readonly token: string | undefined; placeOf(item: T): Place; compare(a: Place, b: Place): number },
): Page<T> {
  const after = options.token === undefined ? undefined : (decode(options.token) as Place);
  const rest = after === undefined ? items : items.filter((item) => options.compare(options.placeOf(item), after) > 0);
  const page = rest.slice(0, options.limit);
  const last = page.at(-1);
  return { items: page, nextToken: last === undefined || rest.length <= page.length ? undefined : encode(options.placeOf(last)) };
}

function encode(place: unknown): string {
  return Buffer.from(JSON.stringify({ place })).toString("base64url");
}

function decode(token: string): unknown {
  try {
    const decoded = JSON.parse(Buffer.from(token, "base64url").toString()) as { readonly place: unknown };
    if (decoded.place !== undefined) return decoded.place;
  } catch {
    // said below
  }
  throw invalid("The specified nextToken is invalid.");
}

/** Orders names as the log store does, by their UTF-8 bytes. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
