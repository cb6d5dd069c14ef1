import { Problem } from "../core/problem.ts";
import { parseJsonSelector } from "./json-selector.ts";

/** Whether a message passes the filter. */
export type MessageFilter = (message: string) => boolean;

/**
 * Compiles a CloudWatch filter pattern: terms and quoted phrases (all must occur), `?a ?b` (any), `-a` (must not occur), and JSON selectors
 * `{ $.a = "x*" && $.b > 3 }`. Case counts. An empty pattern passes everything. `?` terms beside other terms are ignored, as CloudWatch does.
 * @throws Problem `invalid` for what does not parse, `unsupported` for space-delimited `[a, b=1*]` and regular expressions `%…%`.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
 */
export function compileFilterPattern(pattern: string): MessageFilter {
  const text = pattern.trim();
  if (text === "") return () => true;
  if (text.startsWith("{")) return parseJsonSelector(text);
  if (text.startsWith("[")) throw new Problem("unsupported", `space-delimited filter patterns are not supported: ${text}`);
  return termsFilter(parseTerms(text));
}

interface Term {
  readonly kind: "all" | "any" | "none";
  readonly text: string;
}

function parseTerms(text: string): readonly Term[] {
  const terms: Term[] = [];
  const term = /\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)/y;
  for (let at = 0; at < text.length; at = term.lastIndex) {
    term.lastIndex = at;
    const match = term.exec(text);
    if (match === null) throw new Problem("invalid", `Invalid filter pattern: cannot read ${JSON.stringify(text.slice(at).trim())}`);
    const [, sign, phrase, word] = match;
    if (word !== undefined && /^%.*%$/.test(word))
      throw new Problem("unsupported", `regular expressions in filter patterns are not supported: ${word}`);
    const kind = sign === "?" ? "any" : sign === "-" ? "none" : "all";
    terms.push({ kind, text: phrase === undefined ? (word ?? "") : phrase.replaceAll(/\\(.)/g, "$1") });
  }
  return terms;
}

function termsFilter(terms: readonly Term[]): MessageFilter {
  const of = (kind: Term["kind"]): readonly string[] => terms.filter((term) => term.kind === kind).map((term) => term.text);
  const all = of("all");
  const none = of("none");
  const any = all.length + none.length > 0 ? [] : of("any");
  return (message) =>
    all.every((text) => message.includes(text)) &&
    !none.some((text) => message.includes(text)) &&
    (any.length === 0 || any.some((text) => message.includes(text)));
}
