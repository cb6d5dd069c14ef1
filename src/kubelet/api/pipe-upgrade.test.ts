import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { pipeUpgrade } from "./pipe-upgrade.ts";

test("a client that has gone before its stream is there begins nothing; the next one's is its own", async () => {
  const requests: string[] = [];
  const server = createServer((socket) => socket.once("data", (bytes) => requests.push(bytes.toString().split(" ")[1] ?? "")));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const begin = (path: string, socket: PassThrough): void =>
    pipeUpgrade({ request: { method: "POST", rawHeaders: [] } as unknown as IncomingMessage, socket, head: Buffer.alloc(0) }, { port, path });
  const gone = new PassThrough();
  gone.destroy();
  await once(gone, "close");
  begin("/gone", gone);
  const here = new PassThrough();
  begin("/here", here);
  await expect.poll(() => requests).toContain("/here");
  // Connections are taken in the order in which they came.
  expect(requests).toEqual(["/here"]);
  here.destroy();
  server.close();
});
