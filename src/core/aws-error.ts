/**
 * The only error that may leave a service: it becomes the AWS-shaped answer of the request's protocol.
 * Anything else thrown by a handler is answered as a 500 with the request id, details in the log only.
 */
export interface AwsErrorOptions {
  /** HTTP status; 400 unless said. */
  readonly httpStatus?: number;
  /** Modelled members beside the message, e.g. `resourceIds` of ECS's ConflictException. */
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class AwsError extends Error {
  /** The error's wire name, e.g. `ClusterNotFoundException` or `InvalidParameterValue`. */
  readonly code: string;
  readonly httpStatus: number;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: AwsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.httpStatus = options.httpStatus ?? 400;
    this.fields = options.fields ?? {};
  }
}
