import { Problem } from "../../core/problem.ts";
import { formatWord, word } from "./escape.ts";
import type { Frontend } from "./proxy-model.ts";

/** The lines of a listener's default action. */
export function actionLines(frontend: Frontend): readonly string[] {
  const { action } = frontend;
  switch (action.type) {
    case "forward":
      return [`default_backend ${action.backend ?? "no-target"}`];
    case "fixed-response": {
      const body =
        action.messageBody === undefined ? "" : ` content-type ${word(action.contentType ?? "text/plain")} string ${word(action.messageBody)}`;
      return [`http-request return status ${action.statusCode}${body} hdr Server awselb/2.0`];
    }
    case "redirect":
      return redirectLines(action, frontend);
  }
  return unreachable(action);
}

type Redirect = Extract<Frontend["action"], { type: "redirect" }>;

function redirectLines(action: Redirect, frontend: Frontend): readonly string[] {
  const origin = `${expand(action.protocol.toLowerCase(), frontend)}://${expand(action.host, frontend)}:${expand(action.port, frontend)}`;
  const bare = `http-request redirect code ${action.statusCode === "HTTP_301" ? 301 : 302} location ${origin}${expand(action.path, frontend)}`;
  if (action.query === "") return [bare];
  const withQuery = `${bare}?${expand(action.query, frontend)}`;
  return action.query === "#{query}" ? [`${withQuery} if { query -m found }`, bare] : [withQuery];
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
