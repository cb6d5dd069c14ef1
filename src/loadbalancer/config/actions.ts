import { Problem } from "../../core/problem.ts";
import { formatWord, word } from "./escape.ts";
import type { Frontend, ProxyAction } from "./proxy-model.ts";

type Answer = Exclude<ProxyAction, { type: "forward" }>;

/** Where a request goes that no backend can take. */
export const NO_TARGET = "no-target";

/** The lines of an action that answers by itself; `condition` has all words that follow `if`, empty for always. */
export function answerLines(action: Answer, frontend: Frontend, condition: string): readonly string[] {
  switch (action.type) {
    case "fixed-response": {
      // A 204 has none, and HAProxy has no word for an empty one.
      const text = action.statusCode === "204" ? "" : word(action.messageBody ?? "");
      const body = text === "" ? "" : ` content-type ${word(action.contentType ?? "") || "text/plain"} string ${text}`;
      return [`http-request return status ${action.statusCode}${body} hdr Server awselb/2.0${onlyIf(condition)}`];
    }
    case "redirect":
      return redirectLines(action, frontend, condition);
  }
  return unreachable(action);
}

/** The backends that get their share of 0 to `total` - 1, each with where its share ends. */
export function sharesOf(action: Extract<ProxyAction, { type: "forward" }>): {
  readonly total: number;
  readonly shares: readonly { readonly backend: string; readonly below: number }[];
} {
  let total = 0;
  const shares = action.backends.filter(({ weight }) => weight > 0).map(({ name, weight }) => ({ backend: name, below: (total += weight) }));
  return { total, shares };
}

function onlyIf(condition: string): string {
  return condition === "" ? "" : ` if ${condition}`;
}

type Redirect = Extract<Answer, { type: "redirect" }>;

function redirectLines(action: Redirect, frontend: Frontend, condition: string): readonly string[] {
  const origin = `${expand(action.protocol.toLowerCase(), frontend)}://${expand(action.host, frontend)}:${expand(action.port, frontend)}`;
  const bare = `http-request redirect code ${action.statusCode === "HTTP_301" ? 301 : 302} location ${origin}${expand(action.path, frontend)}`;
  if (action.query === "") return [`${bare}${onlyIf(condition)}`];
  const withQuery = `${bare}?${expand(action.query, frontend)}`;
  if (action.query !== "#{query}") return [`${withQuery}${onlyIf(condition)}`];
  return [`${withQuery}${onlyIf(`${condition} { query -m found }`.trim())}`, `${bare}${onlyIf(condition)}`];
}

function unreachable(action: never): never {
  throw new Problem("unsupported", `no such listener action: ${JSON.stringify(action)}`);
}

/** `#{host}` and the like, as log-format expressions. `#{path}` comes without its leading slash, `#{protocol}` in lower case. */
function expand(template: string, frontend: Frontend): string {
  const parts: Readonly<Record<string, string>> = {
    protocol: "http",
    host: "%[req.hdr(host),field(1,:)]",
    port: String(frontend.port),
    path: "%[path,regsub(^/,)]",
    query: "%[query]",
  };
  return template
    .split(/(#\{(?:protocol|host|port|path|query)\})/)
    .map((part) => parts[/^#\{(.*)\}$/.exec(part)?.[1] ?? ""] ?? formatWord(part))
    .join("");
}
