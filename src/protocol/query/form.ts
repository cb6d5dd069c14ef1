import { AwsError } from "../../core/aws-error.ts";

/** A Query request's parameters as a tree: `A.member.1.B=x` is `A` → `member` → `1` → `B`. */
export interface FormNode {
  value?: string;
  /** Set by the reader, so that what nobody read can be named. */
  read?: boolean;
  readonly children: Map<string, FormNode>;
}

const MAX_PARAMETERS = 10_000;
const MAX_DEPTH = 40;

/** The pairs of an `application/x-www-form-urlencoded` text, in order. @throws AwsError MalformedQueryString for broken escapes. */
export function parseForm(text: string): [name: string, value: string][] {
  if (text === "") return [];
  const pairs = text.split("&").filter((part) => part !== "");
  if (pairs.length > MAX_PARAMETERS) throw new AwsError("MalformedQueryString", `The request has more than ${MAX_PARAMETERS} parameters.`);
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    return equals < 0 ? [decode(pair), ""] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch (cause) {
    throw new AwsError("MalformedQueryString", "The query string contains a syntax error: a percent sign is not followed by a byte of UTF-8.", {
      cause,
    });
  }
}

/** Builds the tree. The last of two parameters of one name wins. */
export function formTree(pairs: Iterable<readonly [string, string]>): FormNode {
  const root: FormNode = { children: new Map() };
  for (const [name, value] of pairs) {
    const steps = name.split(".");
    if (steps.length > MAX_DEPTH) throw new AwsError("MalformedQueryString", "A parameter's name has too many parts.");
    let node = root;
    for (const step of steps) {
      let child = node.children.get(step);
      if (child === undefined) node.children.set(step, (child = { children: new Map() }));
      node = child;
    }
    node.value = value;
  }
  return root;
}

/** The names of the leaves that no reader took. */
export function unreadNames(node: FormNode, prefix = ""): string[] {
  const names = node.value !== undefined && !node.read && prefix !== "" ? [prefix] : [];
  for (const [step, child] of node.children) names.push(...unreadNames(child, prefix === "" ? step : `${prefix}.${step}`));
  return names;
}
