import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Network } from "../contracts/network.ts";
import type { Logger } from "../core/logger.ts";
import { Problem } from "../core/problem.ts";
import { holderOfPort } from "../host/listeners.ts";
import type { AddressBook } from "./address-book.ts";
import type { MetadataRoutes } from "./metadata-routes.ts";

/** The HTTP side of the metadata endpoint, one listener for each VPC. */
export interface MetadataServer {
  /**
   * Listens on a VPC endpoint's host address; its callers are the workloads of that VPC. Answers the port, chosen where 0 was asked for.
   * Idempotent by host and port.
   */
  listen(host: string, port: number): Promise<number>;
  /** Listens on this host address no more. Idempotent. */
  unlisten(host: string): Promise<void>;
  close(): Promise<void>;
}

export interface MetadataServerOptions {
  readonly network: Network;
  readonly addresses: AddressBook;
  readonly routes: MetadataRoutes;
  readonly logger: Logger;
}

export function createMetadataServer(options: MetadataServerOptions): MetadataServer {
  const servers = new Map<string, { readonly host: string; readonly server: Server; readonly port: Promise<number> }>();
  const closeThose = async (isMeant: (host: string) => boolean): Promise<void> => {
    const meant = [...servers].filter(([, { host }]) => isMeant(host));
    for (const [key] of meant) servers.delete(key);
    await Promise.all(
      meant.map(async ([, { server }]) => {
        server.closeAllConnections();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      }),
    );
  };
  return {
    listen(host, port) {
      const known = servers.get(`${host}:${port}`);
      if (known !== undefined) return known.port;
      const server = createServer((request, response) => void handle(options, { host, port }, { request, response }));
      const listening = new Promise<number>((resolve, reject) => {
        // Later ones, of a connection that could not be taken, are that connection's: without a listener they would end the process.
        server.on("error", (error: NodeJS.ErrnoException) => {
          if (error.code !== "EADDRINUSE") return reject(error);
          const holder = holderOfPort(host, port) ?? "another program";
          reject(new Problem("conflict", `port ${port} on ${host}, where tasks find their metadata, is taken by ${holder}`, { cause: error }));
        });
        server.listen(port, host, () => {
          const address = server.address();
          resolve(typeof address === "object" && address !== null ? address.port : port);
        });
      });
      servers.set(`${host}:${port}`, { host, server, port: listening });
      listening.catch(() => servers.delete(`${host}:${port}`));
      return listening;
    },
    unlisten: (host) => closeThose((each) => each === host),
    close: () => closeThose(() => true),
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

async function handle(
  options: MetadataServerOptions,
  at: { readonly host: string; readonly port: number },
  { request, response }: Exchange,
): Promise<void> {
  request.resume();
  try {
    const vpcId = (await options.network.endpoints()).find((endpoint) => endpoint.hostAddress === at.host)?.vpcId ?? "";
    const source = (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
    const { method = "GET", headers } = request;
    const workloadId = options.addresses.workloadAt(vpcId, source);
    const answer = await options.routes.answer({ method, path, workloadId, authorization: headers.authorization });
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer.body));
  } catch (error) {
    options.logger.error("the metadata endpoint failed", { err: error });
    if (!response.headersSent) response.writeHead(500, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ code: "InternalServerError", message: "Tidegate's metadata endpoint failed; its log says why.", HTTPErrorCode: 500 }),
    );
  }
}
