import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import { Server as NetServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Clock } from "../core/clock.ts";
import { Problem } from "../core/problem.ts";
import { holderOfPort } from "../host/listeners.ts";

/** Clients (SDKs, HAProxy, Docker) keep connections for reuse; ours must not be the side that closes them under a request. */
const KEEP_ALIVE_MS = 120_000;

/** One address that the gateway listens on. */
export interface Listener {
  readonly host: string;
  /** The real one, when 0 was asked for. */
  readonly port: number;
  /** Of the listening socket; `undefined` once it is closed. A process that inherits it goes on with the same queue of clients. */
  fileDescriptor(): number | undefined;
  /** Stops listening; requests in flight end first, for at most the grace. Idempotent. */
  close(): Promise<void>;
}

/** A listening socket that another process opened and this one inherited. */
export interface InheritedListener {
  readonly host: string;
  readonly port: number;
  readonly fileDescriptor: number;
}

export interface ListenersOptions {
  /** `listen` takes these where it is asked for their address. */
  readonly inherited: readonly InheritedListener[];
  /** How long idle connections are still served, once each, before they are closed. */
  readonly idleGraceMs: number;
  readonly onRequest: RequestListener;
  readonly onUpgrade: (request: Parameters<RequestListener>[0], socket: Duplex, head: Buffer) => void;
  readonly clock: Clock;
  readonly closeGraceMs: number;
}

/** Several HTTP servers that share one application. */
export class Listeners {
  readonly #options: ListenersOptions;
  readonly #open = new Map<Server, Listener>();
  /** Servers whose idle connections are no longer served. */
  readonly #ended = new WeakSet<Server>();
  #closing = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** True from the start of `closeAll` on: answers should then say `connection: close`. */
  get closing(): boolean {
    return this.#closing;
  }

  list(): readonly Listener[] {
    return [...this.#open.values()];
  }

  /** Serves the address, with the inherited socket where there is one. @throws Problem `conflict` when the port is taken, `unavailable` when the address is not this host's. */
  async listen(host: string, port: number): Promise<Listener> {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: KEEP_ALIVE_MS + 5_000, requestTimeout: 0, noDelay: true });
    const sockets = new Set<Socket>();
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    server.on("request", (request, response) => {
      response.once("close", () => {
        if (this.#ended.has(server)) setImmediate(() => server.closeIdleConnections());
      });
      this.#options.onRequest(request, response);
    });
    server.on("upgrade", this.#options.onUpgrade);
    const inherited = this.#options.inherited.find((candidate) => candidate.host === host && candidate.port === port);
    await bind(server, inherited === undefined ? { host, port } : { host, port, fd: inherited.fileDescriptor });
    const listener: Listener = {
      host,
      port: (server.address() as AddressInfo).port,
      fileDescriptor: () => descriptorOf(server),
      close: () => this.#close(server, sockets),
    };
    this.#open.set(server, listener);
    return listener;
  }

  async closeAll(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.list().map((listener) => listener.close()));
  }

  async #close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
    if (!this.#open.delete(server)) return;
    using _deadline = this.#options.clock.setTimer(this.#options.closeGraceMs, () => {
      for (const socket of sockets) socket.destroy();
    });
    const end = (): void => {
      this.#ended.add(server);
      server.close();
    };
    // Right after a look at the sockets: connections that the kernel has not handed over yet are reset by the close.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const stopped = new Promise<void>((resolve) => void NetServer.prototype.close.call(server, () => resolve()));
    // A connection that has just come, or is kept, may carry a request that is not read yet: http's own close would cut it off.
    using _idle = this.#options.idleGraceMs > 0 ? this.#options.clock.setTimer(this.#options.idleGraceMs, end) : undefined;
    if (this.#options.idleGraceMs === 0) end();
    await stopped;
  }
}

/** Node shows it nowhere else. */
function descriptorOf(server: Server): number | undefined {
  const { _handle: handle } = server as Server & { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd;
}

function bind(server: Server, { host, port, fd }: { readonly host: string; readonly port: number; readonly fd?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    // Later ones, of a connection that could not be taken, are that connection's: without a listener they would end the process.
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") {
        reject(
          new Problem(
            "conflict",
            `port ${port} on ${host} is taken by ${holderOfPort(host, port) ?? "another program"}; free it or choose another port (--port)`,
            { cause: error },
          ),
        );
      } else {
        reject(new Problem("unavailable", `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
      }
    });
    server.listen(fd === undefined ? { host, port } : { fd }, () => resolve());
  });
}
