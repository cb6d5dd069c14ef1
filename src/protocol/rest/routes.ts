import type { OperationShape } from "../schema.ts";

/** Which operation a method and path lead to, and what its labels hold. */
export interface RouteMatch {
  readonly operation: string;
  /** By member name, unescaped. */
  readonly labels: Readonly<Record<string, string>>;
}

type Segment = { readonly literal: string } | { readonly label: string; readonly greedy: boolean };

interface Route {
  readonly operation: string;
  readonly method: string;
  readonly segments: readonly Segment[];
}

/**
 * Finds operations by their `http` trait (`[method, URI template, status]`). Paths are split as sent, before escapes are undone: an ARN in a
 * label holds escaped slashes. Where several templates fit, the one whose literal comes first wins.
 *
 * @see https://smithy.io/2.0/spec/http-bindings.html#http-trait
 */
export class Routes {
  readonly #routes: readonly Route[];

  constructor(operations: Iterable<OperationShape>) {
    this.#routes = [...operations].flatMap(routeOf).sort(moreLiteralFirst);
  }

  match(method: string, path: string): RouteMatch | undefined {
    const parts = path.split("/").slice(1);
    if (parts.at(-1) === "") parts.pop();
    for (const route of this.#routes) {
      const labels = route.method === method ? labelsIn(route.segments, parts) : undefined;
      if (labels !== undefined) return { operation: route.operation, labels };
    }
    return undefined;
  }
}

function routeOf({ name, traits }: OperationShape): readonly Route[] {
  const [method, template] = (traits["http"] ?? []) as readonly [string?, string?];
  if (method === undefined || template === undefined) return [];
  const parts = (template.split("?")[0] ?? "").split("/").filter((part) => part !== "");
  const segments = parts.map((part): Segment => {
    const [, label, greedy] = /^\{([^}+]+)(\+?)\}$/.exec(part) ?? [];
    return label === undefined ? { literal: part } : { label, greedy: greedy === "+" };
  });
  return [{ operation: name, method, segments }];
}

function moreLiteralFirst(a: Route, b: Route): number {
  const rank = ({ segments }: Route): string => segments.map((segment) => ("literal" in segment ? "0" : segment.greedy ? "2" : "1")).join("");
  return rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0;
}

function labelsIn(segments: readonly Segment[], parts: readonly string[]): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  let at = 0;
  for (const [index, segment] of segments.entries()) {
    const part = parts[at];
    if (part === undefined) return undefined;
    if ("literal" in segment) {
      if (part !== segment.literal) return undefined;
      at += 1;
      continue;
    }
    const end = segment.greedy ? parts.length - (segments.length - 1 - index) : at + 1;
    const value = unescaped(parts.slice(at, end).join("/"));
    if (value === undefined || value === "") return undefined;
    labels[segment.label] = value;
    at = end;
  }
  return at === parts.length ? labels : undefined;
}

function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
