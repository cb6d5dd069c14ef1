import { gunzipSync } from "node:zlib";
import type { Handler } from "../contracts/handler.ts";
import { AwsError } from "../core/aws-error.ts";
import { signatureAwsError, SignatureError } from "../protocol/sigv4/errors.ts";
import { peekScope } from "../protocol/sigv4/parse.ts";
import { SignatureVerifier } from "../protocol/sigv4/verify.ts";
import { readBody } from "./body.ts";
import { given } from "./exchange.ts";
import type { Exchange } from "./exchange.ts";
import type { GatewayOptions } from "./options.ts";
import { describeMiss, isUnsupportedProtocol, ServiceRouter } from "./router.ts";

const DEFAULT_MAX_BODY_BYTES = 32 * 1024 * 1024;

/** All that an AWS API request passes, in order. A step that throws ends the chain; `answer.ts` turns the error into an answer. */
export function createChain(options: GatewayOptions): readonly Handler<Exchange>[] {
  const router = new ServiceRouter(options.services);
  return [
    bodyStep(options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES),
    routeStep(router, options),
    authenticateStep(options),
    contextStep(options),
    decodeStep(options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES),
    checkMembersStep,
    dispatchStep,
    encodeStep,
  ];
}

function bodyStep(maxBytes: number): Handler<Exchange> {
  return {
    name: "body",
    async handle(exchange, request) {
      const body = await readBody(request.raw, maxBytes);
      exchange.wire = { ...exchange.wire, body };
      return false;
    },
  };
}

function routeStep(router: ServiceRouter, options: GatewayOptions): Handler<Exchange> {
  return {
    name: "route",
    async handle(exchange) {
      const service = router.find(exchange.wire);
      if (service === undefined) {
        throw new AwsError("UnknownOperationException", describeMiss(exchange.wire, options.services), { httpStatus: 404 });
      }
      exchange.service = service;
      try {
        exchange.codec = await router.codec(service);
      } catch (error) {
        if (!isUnsupportedProtocol(error)) throw error;
        throw new AwsError("UnknownOperationException", `${service.name}: ${error.message}`, { httpStatus: 501, cause: error });
      }
      return false;
    },
  };
}

/** An operation that needs no signature is nobody's, whoever signs. With `auth: none` a signature is not looked at; who signs is believed where the key is known. */
function authenticateStep(options: GatewayOptions): Handler<Exchange> {
  const { config, credentials } = options;
  const verifier = new SignatureVerifier({ credentials });
  return {
    name: "authenticate",
    async handle(exchange) {
      const service = given(exchange.service, "service");
      const name = given(exchange.codec, "codec").operationName(exchange.wire);
      if (service.operations.some((operation) => operation.name === name && operation.unsigned === true)) {
        exchange.anonymous = true;
        exchange.scope = { account: config.account, region: config.region };
        return false;
      }
      if (config.auth === "iam") {
        const { credential, scope } = await verifier
          .verify(exchange.wire, { service: service.signingName, nowMs: exchange.nowMs, rawHeaders: exchange.rawHeaders })
          .catch((error: unknown) => {
            throw error instanceof SignatureError ? signatureAwsError(error, service.protocol) : error;
          });
        exchange.credential = credential;
        exchange.scope = { account: credential.account, region: scope.region };
        return false;
      }
      const peeked = peekScope(exchange.wire);
      exchange.credential = peeked === undefined ? undefined : await credentials.find(peeked.accessKeyId);
      const region = peeked !== undefined && /^[a-z]{2,}(-[a-z]+)+-\d+$/.test(peeked.region) ? peeked.region : config.region;
      exchange.scope = { account: exchange.credential?.account ?? config.account, region };
      return false;
    },
  };
}

function contextStep({ config, logger }: GatewayOptions): Handler<Exchange> {
  return {
    name: "context",
    handle(exchange) {
      const scope = given(exchange.scope, "scope");
      const codec = given(exchange.codec, "codec");
      exchange.operationName = codec.operationName(exchange.wire);
      const { account, region } = scope;
      const unnamed = exchange.anonymous
        ? { arn: "anonymous", userId: "anonymous", accessKeyId: "" }
        : { arn: `arn:aws:iam::${account}:root`, userId: account, accessKeyId: "" };
      exchange.context = {
        account,
        region,
        requestId: exchange.requestId,
        principal: exchange.credential?.principal ?? unnamed,
        nowMs: exchange.nowMs,
        logger: logger.child({ requestId: exchange.requestId, account, region, service: codec.service.name, operation: exchange.operationName }),
        host: exchange.wire.headers["host"] ?? `${codec.service.name}.${region}.tidegate-${config.instanceId}.internal`,
      };
      return Promise.resolve(false);
    },
  };
}

function decodeStep(maxBytes: number): Handler<Exchange> {
  return {
    name: "decode",
    handle(exchange) {
      exchange.operation = given(exchange.codec, "codec").operation(exchange.operationName);
      exchange.input = exchange.operation.decode(inflate(exchange, maxBytes));
      return Promise.resolve(false);
    },
  };
}

/** Signatures cover the body as sent; what is read is the body as meant. */
function inflate({ wire }: Exchange, maxBytes: number): Exchange["wire"] {
  if (wire.headers["content-encoding"]?.toLowerCase() !== "gzip") return wire;
  try {
    return { ...wire, body: gunzipSync(wire.body, { maxOutputLength: maxBytes }) };
  } catch (cause) {
    throw new AwsError("SerializationException", "The request body says that it is gzip, and it is not, or it is too large.", { cause });
  }
}

const checkMembersStep: Handler<Exchange> = {
  name: "check-members",
  handle(exchange) {
    given(exchange.operation, "operation").checkMembers(exchange.input);
    return Promise.resolve(false);
  },
};

const dispatchStep: Handler<Exchange> = {
  name: "dispatch",
  async handle(exchange) {
    exchange.output = await given(exchange.operation, "operation").operation.handle(exchange.input, given(exchange.context, "context"));
    return false;
  },
};

const encodeStep: Handler<Exchange> = {
  name: "encode",
  async handle(exchange, _request, reply) {
    exchange.response = given(exchange.operation, "operation").encode(exchange.output, exchange.requestId);
    await reply.code(exchange.response.status).headers(exchange.response.headers).send(exchange.response.body);
    return true;
  },
};
