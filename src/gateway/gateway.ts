import type { IncomingMessage } from "node:http";
import { fastify as createFastify } from "fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Handler } from "../contracts/handler.ts";
import type { Clock } from "../core/clock.ts";
import { answerError, logAccess } from "./answer.ts";
import { createChain } from "./chain.ts";
import type { Exchange } from "./exchange.ts";
import { Listeners } from "./listeners.ts";
import type { Listener } from "./listeners.ts";
import type { GatewayOptions } from "./options.ts";

export interface Gateway {
  /** Other rooms mount their plugins here (registry under `/v2/`, console) before the first `listen`. */
  readonly fastify: FastifyInstance;
  /** Opens an address; may be called for several, which all serve the same. Port 0 picks a free one. @throws Problem `conflict` (port taken), `unavailable`. */
  listen(host: string, port: number): Promise<Listener>;
  /** The addresses that are open. */
  listeners(): readonly Listener[];
  /** Stops listening, lets requests in flight finish, closes the plugins. Idempotent. */
  close(): Promise<void>;
}

/** The one front door: AWS's APIs at every path that no plugin claims, `/healthz`, `/metrics`. */
export function createGateway(options: GatewayOptions): Gateway {
  const { clock, ids } = options;
  const fastify = createFastify({
    logger: false,
    genReqId: () => ids.uuid(),
    routerOptions: { maxParamLength: 2048 },
    return503OnClosing: false,
  });
  const listeners = new Listeners({
    onRequest: (request, response) => fastify.routing(request, response),
    onUpgrade: (request, socket, head) => {
      if (fastify.server.listenerCount("upgrade") === 0) socket.destroy();
      else fastify.server.emit("upgrade", request, socket, head);
    },
    clock,
    inherited: options.inherited ?? [],
    idleGraceMs: options.idleGraceMs ?? 0,
    closeGraceMs: options.closeGraceMs ?? 25_000,
  });
  fastify.addHook("onRequest", async (_request, reply) => {
    if (listeners.closing) void reply.header("connection", "close");
  });
  mountHealth(fastify, options);
  const chain = createChain(options);
  void fastify.register(async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, _payload, done) => done(null));
    app.all("/", (request, reply) => serve(request, reply, chain, options));
    app.all("/*", (request, reply) => serve(request, reply, chain, options));
  });
  let closed: Promise<void> | undefined;
  return {
    fastify,
    async listen(host, port) {
      await fastify.ready();
      return listeners.listen(host, port);
    },
    listeners: () => listeners.list(),
    close: () => (closed ??= listeners.closeAll().then(() => fastify.close())),
  };
}

/** Passes one request through the chain. */
async function serve(
  request: FastifyRequest,
  reply: FastifyReply,
  chain: readonly Handler<Exchange>[],
  options: GatewayOptions,
): Promise<FastifyReply> {
  const exchange = exchangeOf(request, options.clock);
  try {
    for (const step of chain) if (await step.handle(exchange, request, reply)) break;
  } catch (error) {
    await answerError(exchange, error, reply, options.logger);
  }
  logAccess(exchange, options);
  return reply;
}

function exchangeOf(request: FastifyRequest, clock: Clock): Exchange {
  const { url = "/", method = "GET", rawHeaders } = request.raw;
  const question = url.indexOf("?");
  return {
    requestId: request.id,
    nowMs: clock.nowMs(),
    arrivedSteadyMs: clock.steadyMs(),
    rawHeaders: pairs(rawHeaders),
    wire: {
      method,
      path: question < 0 ? url : url.slice(0, question),
      query: question < 0 ? "" : url.slice(question + 1),
      headers: singleHeaders(request.raw),
      body: new Uint8Array(),
    },
  };
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[index * 2]!, flat[index * 2 + 1]!] as const);
}

/** Only `set-cookie` comes as a list in Node, and no request of ours has one. */
function singleHeaders(request: IncomingMessage): Readonly<Record<string, string | undefined>> {
  return request.headers as Readonly<Record<string, string | undefined>>;
}

function mountHealth(fastify: FastifyInstance, options: GatewayOptions): void {
  fastify.get("/healthz", async (_request, reply) => {
    const health = (await options.health?.()) ?? { healthy: true };
    return reply
      .code(health.healthy ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ status: health.healthy ? "ok" : "unhealthy", instanceId: options.config.instanceId, ...health.details });
  });
  const { metrics } = options;
  if (metrics === undefined) return;
  fastify.get("/metrics", async (_request, reply) => {
    const { contentType, body } = await metrics.render();
    return reply.header("content-type", contentType).send(body);
  });
}
