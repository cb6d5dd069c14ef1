import type { Operation, RequestContext, Service } from "../contracts/service.ts";
import { AwsError } from "../core/aws-error.ts";
import { internalFailure, invalidInput, modelled, operationNotBuilt, refusedMember, unknownOperation } from "./errors.ts";
import { compileMembers } from "./members.ts";
import { loadServiceModel } from "./model.ts";
import type { ServiceModel } from "./model.ts";
import type { Decode, Encode, Protocol } from "./protocol.ts";
import { protocolNamed } from "./protocols.ts";
import { Validators } from "./validate.ts";
import type { WireRequest, WireResponse } from "./wire.ts";

/** One operation, ready to be called: all that depends on its shapes is compiled. */
export interface OperationCodec {
  readonly operation: Operation;
  /** @throws AwsError for a malformed input, a missing member, a broken constraint. */
  readonly decode: Decode;
  /** @throws AwsError naming a present member that is not acted on. */
  readonly checkMembers: (input: unknown) => void;
  readonly encode: Encode;
}

/** A service on the wire, without HTTP. */
export interface ServiceCodec {
  readonly service: Service;
  readonly protocol: Protocol;
  readonly model: ServiceModel;
  /** The operation that a request names; `undefined` when it names none. */
  operationName(request: WireRequest): string | undefined;
  /** @throws AwsError for an operation that does not exist, or is not built. */
  operation(name: string | undefined): OperationCodec;
  encodeError(error: AwsError, requestId: string): WireResponse;
  /** The whole of a request: decode, checks, handler, encode; errors come back encoded, unexpected ones are logged through the context. */
  invoke(request: WireRequest, context: RequestContext): Promise<WireResponse>;
}

/** Loads a service's schemas and makes its codec; operations are compiled at their first use. */
export async function createServiceCodec(service: Service): Promise<ServiceCodec> {
  const protocol = protocolNamed(service.protocol);
  const model = await loadServiceModel(service);
  const bound = protocol.bind(service, model);
  const validators = new Validators(model.constraints);
  const handlers = new Map(service.operations.map((operation) => [operation.name, operation as Operation]));
  const compiled = new Map<string, OperationCodec>();

  const compile = (name: string): OperationCodec => {
    const shape = model.operations.get(name);
    if (shape === undefined) throw unknownOperation(service, name);
    const operation = handlers.get(name);
    if (operation === undefined) throw operationNotBuilt(service, name);
    const read = bound.decoder(shape);
    const validate = validators.compile(shape.input);
    const refusalIn = compileMembers(shape.input, operation.members);
    return {
      operation,
      decode(request) {
        const input = read(request);
        const violations = validate(input);
        if (violations.length > 0) throw invalidInput(service, model, name, violations);
        return input;
      },
      checkMembers(input) {
        const refusal = refusalIn(input);
        if (refusal !== undefined) throw refusedMember(service, model, name, refusal);
      },
      encode: bound.encoder(shape),
    };
  };

  const codec: ServiceCodec = {
    service,
    protocol,
    model,
    operationName: (request) => bound.operationName(request),
    operation(name) {
      if (name === undefined) throw unknownOperation(service, undefined);
      let found = compiled.get(name);
      if (found === undefined) compiled.set(name, (found = compile(name)));
      return found;
    },
    encodeError: (error, requestId) => protocol.encodeError(modelled(error, model, service.protocol), requestId, service.xmlNamespace),
    async invoke(request, context) {
      try {
        const { operation, decode, checkMembers, encode } = codec.operation(codec.operationName(request));
        const input = decode(request);
        checkMembers(input);
        return encode(await operation.handle(input, context), context.requestId);
      } catch (error) {
        if (error instanceof AwsError) return codec.encodeError(error, context.requestId);
        context.logger.error("request failed", { err: error });
        return codec.encodeError(internalFailure(service.protocol, context.requestId), context.requestId);
      }
    },
  };
  return codec;
}
