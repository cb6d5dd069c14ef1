import { invalidParameter } from "./errors.ts";

export interface PageRequest {
  readonly nextToken?: string | undefined;
  readonly maxResults?: number | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextToken?: string;
}

/**
 * One page of `items`, which must be in a fixed order. The token names the last item shown by its id, so that a page goes on in the right
 * place when items come and go between the calls.
 * @throws InvalidParameterException for a token that is none of ours.
 */
export function pageOf<T>(
  items: readonly T[],
  request: PageRequest,
  options: { readonly idOf: (item: T) => string; readonly defaultSize: number; readonly descending?: boolean },
): Page<T> {
  const size = request.maxResults ?? options.defaultSize;
  if (!Number.isInteger(size) || size < 1 || size > 100) throw invalidParameter("Invalid maxResults. Specify a number between 1 and 100.");
  let start = 0;
  if (request.nextToken !== undefined && request.nextToken !== "") {
    const after = readToken(request.nextToken);
    const found = items.findIndex((item) => (options.descending === true ? options.idOf(item) < after : options.idOf(item) > after));
    start = found < 0 ? items.length : found;
  }
  const shown = items.slice(start, start + size);
  const last = shown.at(-1);
  if (last === undefined || start + size >= items.length) return { items: shown };
  return { items: shown, nextToken: Buffer.from(`1:${options.idOf(last)}`).toString("base64url") };
}

function readToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (!text.startsWith("1:")) throw invalidParameter("Invalid token.");
  return text.slice(2);
}
