import { isDiskFull } from "../core/disk-full.ts";
import { isProblem, messageOf, Problem, type ProblemKind } from "../core/problem.ts";

/** What exactly went wrong in the registry, finer than a Problem's kind; the OCI API and ECR each have their own word for it. */
export type RegistryReason =
  | "repository-unknown"
  | "repository-exists"
  | "repository-not-empty"
  | "name-invalid"
  | "tag-invalid"
  | "tag-immutable"
  | "digest-invalid"
  | "digest-mismatch"
  | "manifest-unknown"
  | "manifest-invalid"
  | "manifest-referenced"
  | "blobs-unknown"
  | "children-unknown"
  | "blob-unknown"
  | "blob-referenced"
  | "upload-unknown"
  | "range-invalid"
  | "size-invalid"
  | "denied"
  | "unsupported"
  | "disk-full"
  | "upstream-unreachable";

const KINDS: Readonly<Record<RegistryReason, ProblemKind>> = {
  "repository-unknown": "not-found",
  "repository-exists": "already-exists",
  "repository-not-empty": "conflict",
  "name-invalid": "invalid",
  "tag-invalid": "invalid",
  "tag-immutable": "conflict",
  "digest-invalid": "invalid",
  "digest-mismatch": "invalid",
  "manifest-unknown": "not-found",
  "manifest-invalid": "invalid",
  "manifest-referenced": "conflict",
  "blobs-unknown": "not-found",
  "children-unknown": "not-found",
  "blob-unknown": "not-found",
  "blob-referenced": "conflict",
  "upload-unknown": "not-found",
  "range-invalid": "conflict",
  "size-invalid": "invalid",
  denied: "unsupported",
  unsupported: "unsupported",
  "disk-full": "exhausted",
  "upstream-unreachable": "unavailable",
};

export interface RegistryProblemOptions {
  /** The digests that the problem is about. */
  readonly digests?: readonly string[];
  /** Bytes received so far, of an upload. */
  readonly offsetBytes?: number;
  readonly cause?: unknown;
}

/** A failure of the registry. The message is ECR's own where it is known. */
export class RegistryProblem extends Problem {
  readonly reason: RegistryReason;
  readonly digests: readonly string[];
  readonly offsetBytes: number | undefined;

  constructor(reason: RegistryReason, message: string, options: RegistryProblemOptions = {}) {
    super(KINDS[reason], message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "RegistryProblem";
    this.reason = reason;
    this.digests = options.digests ?? [];
    this.offsetBytes = options.offsetBytes;
  }
}

/** True when `error` is a RegistryProblem for one of `reasons`. */
export function isRegistryProblem(error: unknown, ...reasons: readonly RegistryReason[]): error is RegistryProblem {
  return error instanceof RegistryProblem && (reasons.length === 0 || reasons.includes(error.reason));
}

/** Turns a full disk into words; answers anything else as it is. */
export function diskProblem(error: unknown, doing: string): unknown {
  // The guard's own refusal says it all.
  if (isProblem(error, "exhausted") && !isRegistryProblem(error)) return new RegistryProblem("disk-full", error.message, { cause: error });
  if (isRegistryProblem(error) || !isDiskFull(error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? messageOf(error);
  const message = `${doing} failed: the disk that holds the registry is full (${code}). Free some space, or delete images that nobody uses, and push again.`;
  return new RegistryProblem("disk-full", message, { cause: error });
}
