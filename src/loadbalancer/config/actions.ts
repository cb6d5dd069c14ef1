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
    case "redirect": {
      const code = action.statusCode === "HTTP_301" ? 301 : 302;
      const origin = `${expand(action.protocol.toLowerCase(), frontend)}://${expand(action.host, frontend)}:${expand(action.port, frontend)}`;
      const location = `${origin}${expand(action.path, frontend)}`;
      const query = expand(action.query, frontend);
      if (action.query === "") return [`http-request redirect code ${code} location ${location}`];
      const always = action.query !== "#{query}";
      const withQuery = `http-request redirect code ${code} location ${location}?${query}`;
      return always ? [withQuery] : [`${withQuery} if { query -m found }`, `http-request redirect code ${code} location ${location}`];
    }
  }
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
