import type { FastifyReply } from "fastify";
import { AwsError } from "../core/aws-error.ts";
import { isDiskFull } from "../core/disk-full.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { diskFullFailure, internalFailure } from "../protocol/errors.ts";
import { awsJson1_1 } from "../protocol/json/protocol.ts";
import { awsQuery } from "../protocol/query/protocol.ts";
import type { WireResponse } from "../protocol/wire.ts";
import type { Exchange } from "./exchange.ts";
import type { GatewayMetrics } from "./options.ts";
import { mayBeQuery } from "./router.ts";

/** Answers an error in the protocol of the request, as far as it is known. What is no AwsError goes to the log, and only there. */
export async function answerError(exchange: Exchange, error: unknown, reply: FastifyReply, logger: Logger): Promise<void> {
  const protocol = exchange.service?.protocol ?? (mayBeQuery(exchange.wire) ? "awsQuery" : "awsJson1_1");
  if (!(error instanceof AwsError)) (exchange.context?.logger ?? logger).error("request failed", { requestId: exchange.requestId, err: error });
  const awsError = error instanceof AwsError ? error : isDiskFull(error) ? diskFullFailure(error) : internalFailure(protocol, exchange.requestId);
  exchange.errorCode = awsError.code;
  exchange.response = encode(exchange, awsError);
  if (reply.sent) return;
  if (awsError.httpStatus === 413) void reply.header("connection", "close");
  await reply.code(exchange.response.status).headers(exchange.response.headers).send(exchange.response.body);
}

function encode(exchange: Exchange, error: AwsError): WireResponse {
  if (exchange.codec !== undefined) return exchange.codec.encodeError(error, exchange.requestId);
  const fallback = mayBeQuery(exchange.wire) ? awsQuery : awsJson1_1;
  return fallback.encodeError(error, exchange.requestId);
}

export interface AccessLogOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: GatewayMetrics;
}

/** The one line of a request, and its figures. */
export function logAccess(exchange: Exchange, options: AccessLogOptions): void {
  const durationMs = options.clock.steadyMs() - exchange.arrivedSteadyMs;
  const status = exchange.response?.status ?? 0;
  options.logger.info("request", {
    requestId: exchange.requestId,
    account: exchange.scope?.account,
    region: exchange.scope?.region,
    service: exchange.service?.name,
    operation: exchange.operationName,
    status,
    durationMs: Math.round(durationMs),
    ...(exchange.errorCode !== undefined && { errorCode: exchange.errorCode }),
    ...(exchange.service === undefined && { method: exchange.wire.method, path: exchange.wire.path }),
  });
  options.metrics?.observe({
    service: exchange.service?.name ?? "",
    operation: exchange.operation?.operation.name ?? "",
    status,
    durationSeconds: durationMs / 1000,
  });
}
