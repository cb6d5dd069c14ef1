/** The closed kinds of failure that rooms throw at one another; a service turns them into its AwsErrors. */
export type ProblemKind = "not-found" | "already-exists" | "conflict" | "invalid" | "unavailable" | "unsupported" | "exhausted";

/** A failure with a closed kind. The message says what happened, to what, why, and what to do. */
export class Problem extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Problem";
    this.kind = kind;
  }
}

/** True when `error` is a Problem of one of `kinds` (of any kind when none is given). */
export function isProblem(error: unknown, ...kinds: readonly ProblemKind[]): error is Problem {
  return error instanceof Problem && (kinds.length === 0 || kinds.includes(error.kind));
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
