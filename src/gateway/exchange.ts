import type { Credential } from "../contracts/credentials.ts";
import type { RequestContext, Service } from "../contracts/service.ts";
import type { Scope } from "../core/scope.ts";
import type { OperationCodec, ServiceCodec } from "../protocol/service-codec.ts";
import type { WireRequest, WireResponse } from "../protocol/wire.ts";

/** One request on its way through the chain; each step adds what the next ones need. */
export interface Exchange {
  readonly requestId: string;
  /** Time of arrival, ms since the epoch. */
  readonly nowMs: number;
  /** The same instant on the steady clock, to measure from. */
  readonly arrivedSteadyMs: number;
  /** In the order sent, names as sent. */
  readonly rawHeaders: readonly (readonly [string, string])[];
  /** Complete once the body has been read. */
  wire: WireRequest;
  /** From `route` on. */
  service?: Service;
  codec?: ServiceCodec;
  operationName?: string;
  /** From `authenticate` on; without a credential where signatures are not asked for. */
  scope?: Scope;
  credential?: Credential;
  /** It is nobody's: the operation needs no signature. */
  anonymous?: boolean;
  context?: RequestContext;
  /** From `decode` on. */
  operation?: OperationCodec;
  input?: Record<string, unknown>;
  /** From `dispatch` on. */
  output?: unknown;
  /** The answer, an error's too. */
  response?: WireResponse;
  errorCode?: string;
}

/** What an earlier step of the chain has set. */
export function given<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`the chain has not set ${name} yet`);
  return value;
}
