/** MaxResults and NextToken. Tokens say after which id to go on, so that a page is right also when resources come and go. */
import { AwsError } from "../../core/aws-error.ts";
import { badCombination } from "./errors.ts";

export interface PageRequest {
  readonly MaxResults?: number | undefined;
  readonly NextToken?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly NextToken?: string;
}

/**
 * One page of `items`, in order of their ids.
 * @throws AwsError `InvalidParameterCombination` when resources are named by id as well; `InvalidNextToken`
 */
export function pageOf<T>(
  items: readonly T[],
  request: PageRequest,
  options: { readonly idOf: (item: T) => string; readonly named?: readonly string[] },
): Page<T> {
  const { idOf, named } = options;
  if (named !== undefined && named.length > 0 && request.MaxResults !== undefined) {
    throw badCombination("The parameter MaxResults cannot be used with the parameter that names resources by id in the same request");
  }
  const sorted = [...items].sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
  const after = request.NextToken === undefined ? undefined : readToken(request.NextToken);
  const rest = after === undefined ? sorted : sorted.filter((item) => idOf(item) > after);
  const limit = request.MaxResults ?? 1000;
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return rest.length > page.length && last !== undefined
    ? { items: page, NextToken: Buffer.from(`after:${idOf(last)}`).toString("base64url") }
    : { items: page };
}

function readToken(token: string): string {
  const text = Buffer.from(token, "base64url").toString();
  if (!text.startsWith("after:")) throw new AwsError("InvalidNextToken", "The specified value for NextToken is invalid");
  return text.slice("after:".length);
}
