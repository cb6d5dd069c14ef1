import type { FastifyReply, FastifyRequest } from "fastify";

/** One step of the gateway's chain (`gateway/chain.ts`): it may answer, or enrich the exchange and let the next step go on. */
export interface Handler<Exchange> {
  readonly name: string;
  /** Answers `true` when the reply has been sent and the chain ends. */
  handle(exchange: Exchange, request: FastifyRequest, reply: FastifyReply): Promise<boolean>;
}
