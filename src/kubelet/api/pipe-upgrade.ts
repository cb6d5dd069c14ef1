import { connect } from "node:net";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { StreamEndpoint } from "../../contracts/engine.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/** The client's connection when it asked to change its protocol, with what came after the request. */
export interface UpgradeConnection {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/**
 * Hands a connection that is to become a stream to who serves it: the request goes on with the stream's own path, and from then on all bytes
 * pass both ways. Ends with either side; where the client has gone already, nothing begins.
 */
export function pipeUpgrade({ request, socket, head }: UpgradeConnection, endpoint: StreamEndpoint): void {
  if (socket.destroyed) return;
  const upstream = connect({ host: "127.0.0.1", port: endpoint.port, noDelay: true });
  upstream.setTimeout(CONNECT_TIMEOUT_MS, () => upstream.destroy());
  upstream.once("connect", () => {
    upstream.setTimeout(0);
    upstream.write(requestText(request, endpoint));
    if (head.length > 0) upstream.write(head);
    upstream.pipe(socket).pipe(upstream);
  });
  upstream.on("error", () => socket.destroy());
  socket.on("error", () => upstream.destroy());
  upstream.once("close", () => socket.destroy());
  socket.once("close", () => upstream.destroy());
}

/** As it came, but for its path and its credentials, which are nobody else's. */
function requestText({ method, rawHeaders }: IncomingMessage, { port, path }: StreamEndpoint): string {
  const lines = [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (!["host", "authorization"].includes(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[index + 1]}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

const PHRASES: Readonly<Record<number, string>> = { 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found" };

/** Answers a request for an upgrade with a refusal, and ends the connection. */
export function refuseUpgrade(socket: Duplex, { status, words }: { readonly status: number; readonly words: string }): void {
  const body = Buffer.from(words);
  socket.end(
    [
      `HTTP/1.1 ${status} ${PHRASES[status] ?? "Internal Server Error"}`,
      "Content-Type: text/plain; charset=utf-8",
      `Content-Length: ${body.length}`,
      "Connection: close",
      "",
      body.toString(),
    ].join("\r\n"),
  );
}
