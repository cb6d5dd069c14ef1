import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Scope } from "../core/scope.ts";
import type { Controller } from "./controller.ts";

/** Who signed a request. */
export interface Principal {
  /** The access key's owner: a user, an assumed role's session, or the account's root. */
  readonly arn: string;
  /** As GetCallerIdentity answers: user or role id (`AROA…:session`). */
  readonly userId: string;
  readonly accessKeyId: string;
}

/** What an operation knows of its request beside the input. */
export interface RequestContext extends Scope {
  readonly requestId: string;
  readonly principal: Principal;
  /** Time of arrival, ms since the epoch. */
  readonly nowMs: number;
  readonly logger: Logger;
  /** The host and port the client used, e.g. `localhost:4566`. */
  readonly host: string;
}

/**
 * How an operation treats a member of its input, by path (`cluster`, `overrides.cpu`, `containerDefinitions.links`; list indexes and map
 * keys are left out). The longest listed path decides; a member with no listed path is refused by name.
 */
export type MemberTreatment =
  /** Acted on, with all beneath it. */
  | "used"
  /** Accepted without effect; never for what changes how a container runs, is reached or is stopped. */
  | { readonly ignored: string }
  /** Refused by name when present; `reason` ends the message. `unless` values (e.g. the default) are let through. */
  | { readonly refused: string; readonly unless?: readonly unknown[] };

export type Members = Readonly<Record<string, MemberTreatment>>;

/** One operation. The input is already checked against the model: shapes, required members, constraints, treatments. */
export interface Operation<Input = unknown, Output = unknown> {
  readonly name: string;
  readonly members: Members;
  /** Its requests need no signature: what they carry proves by itself who asks. */
  readonly unsigned?: true;
  handle(input: Input, context: RequestContext): Promise<Output>;
}

export type ProtocolName = "awsJson1_0" | "awsJson1_1" | "awsQuery" | "ec2Query" | "restJson1" | "rpcv2Cbor";

/** An AWS service: how it is addressed on the wire, and what it can do. */
export interface Service {
  /** Short name, also the folder: `ecs`. */
  readonly name: string;
  /** Service of the credential scope, e.g. `elasticloadbalancing`. */
  readonly signingName: string;
  /** Prefix of `X-Amz-Target` for the JSON protocols, e.g. `AmazonEC2ContainerServiceV20141113`. */
  readonly targetPrefix?: string;
  /** Query protocols: the API version, e.g. `2016-11-15`. */
  readonly apiVersion: string;
  readonly xmlNamespace?: string;
  readonly protocol: ProtocolName;
  /** Imports the official SDK client, whose exported schemas give the shapes. Called at the first request. */
  loadSchemas(): Promise<Readonly<Record<string, unknown>>>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- variance: each operation has its own input
  readonly operations: readonly Operation<any, any>[];
  readonly controllers?: readonly Controller[];
  /** The error codes for what the gateway finds by itself; defaults in `protocol/`. */
  readonly errorCodes?: { readonly invalid?: string; readonly unsupported?: string };
}

/** What every room is handed. */
export interface Toolbox {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}
