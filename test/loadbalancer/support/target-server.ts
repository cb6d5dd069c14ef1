/**
 * A target for tests: `node target-server.ts <ip> <port> <keepAliveTimeoutMs> <breakEvery>`. Each `breakEvery`th request on a connection that
 * had carried one before meets what a server does that was just closing it: it gets no answer. Answers `{target, method, bytes, headers}`; `/slow?ms=`
 * waits, `/plain` answers a word, `/own-503` a 503; `/_set?health=` changes what `/health` answers (a status, or `hang`); `/_seen` tells how many requests came, health checks and
 * control left out, `/_reused` how many of them on a connection that had carried one before; an upgrade becomes an echo. With a keep-alive time
 * of 0 it speaks no HTTP: it answers the first bytes of each connection with `<ip>:<port> ` and themselves in hex, and echoes what follows.
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";

const [ip = "127.0.0.1", port = "0", keepAliveTimeoutMs = "5000", breakEveryText = "0"] = process.argv.slice(2);
const breakEvery = Number(breakEveryText);
let health = "200";
let seen = 0;
let reused = 0;
const carried = new WeakSet<object>();

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://target");
  if (url.pathname === "/_set") {
    health = url.searchParams.get("health") ?? "200";
    response.end("set");
    return;
  }
  if (url.pathname === "/_seen") {
    response.end(String(seen));
    return;
  }
  if (url.pathname === "/_reused") {
    response.end(String(reused));
    return;
  }
  if (url.pathname === "/health") {
    if (health !== "hang") response.writeHead(Number(health)).end();
    return;
  }
  seen++;
  reused += carried.has(request.socket) ? 1 : 0;
  if (breakEvery > 0 && carried.has(request.socket) && reused % breakEvery === 0) {
    request.socket.destroy();
    return;
  }
  carried.add(request.socket);
  if (url.pathname === "/plain") {
    response.end("plain");
    return;
  }
  if (url.pathname === "/own-503") {
    response.writeHead(503).end("busy");
    return;
  }
  let bytes = 0;
  request.on("data", (chunk: Buffer) => void (bytes += chunk.length));
  request.on("end", () => {
    const answer = JSON.stringify({ target: `${ip}:${port}`, method: request.method, bytes, headers: request.headers });
    setTimeout(() => response.end(answer), Number(url.searchParams.get("ms") ?? 0));
  });
});
server.on("upgrade", (request, socket) => {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`, "", ""];
  socket.write(lines.join("\r\n"));
  socket.on("data", (chunk: Buffer) => void socket.write(`echo:${chunk.toString()}`));
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
});
server.keepAliveTimeout = Number(keepAliveTimeoutMs);
server.keepAliveTimeoutBuffer = 0;
const echo = createTcpServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (first: Buffer) => {
    socket.write(`${ip}:${port} ${first.toString("hex")}`);
    socket.on("data", (chunk: Buffer) => void socket.write(chunk));
  });
});
(keepAliveTimeoutMs === "0" ? echo : server).listen(Number(port), ip, () => process.stdout.write("listening\n"));
