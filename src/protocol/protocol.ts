import type { AwsError } from "../core/aws-error.ts";
import type { ProtocolName, Service } from "../contracts/service.ts";
import type { ServiceModel } from "./model.ts";
import type { OperationShape } from "./schema.ts";
import type { WireRequest, WireResponse } from "./wire.ts";

/** Reads requests into the SDK's input types. @throws AwsError for what is malformed. */
export type Decode = (request: WireRequest) => Record<string, unknown>;
/** Writes an output of the SDK's types. */
export type Encode = (output: unknown, requestId: string) => WireResponse;

/** A protocol over one service's model. Codecs are compiled at an operation's first use and kept. */
export interface BoundProtocol {
  /** The operation that a request names; `undefined` when it names none. */
  operationName(request: WireRequest): string | undefined;
  decoder(operation: OperationShape): Decode;
  encoder(operation: OperationShape): Encode;
}

/** A wire protocol of AWS: how operations are named, inputs read, outputs and errors written. */
export interface Protocol {
  readonly name: ProtocolName;
  bind(service: Service, model: ServiceModel): BoundProtocol;
  /** Works without a model, for requests that reach no service. `fields` are members of a modelled error, written as they are. */
  encodeError(error: AwsError, requestId: string, xmlNamespace?: string): WireResponse;
}
