import { readFile } from "node:fs/promises";

/** How a service words a failed constraint: most say `Value … at '…' failed to satisfy constraint`, ECR says it its own way. */
export type Wording = "coral" | "ecr";

/** What the SDK's schemas do not carry of one shape. Numbers are 32-bit integers unless `type` says otherwise. */
export interface ShapeConstraint {
  readonly type?: "long" | "float" | "double";
  readonly enum?: readonly string[];
  /** Length of strings (characters), blobs (bytes), lists and maps (entries); value of numbers. Inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** As the model has it; the whole value must match. */
  readonly pattern?: string;
  /** `pattern` in JavaScript's syntax, when that differs. */
  readonly regex?: string;
  /** Names of the constrained shapes inside a list or map. */
  readonly member?: string;
  readonly key?: string;
  readonly value?: string;
}

/** One data file, written by `tools/extract-constraints.ts`. Holds only what operations' inputs reach. */
export interface ConstraintFile {
  readonly service: string;
  readonly wording?: Wording;
  readonly shapes: Record<string, ShapeConstraint>;
  /** Structure, member, shape. */
  readonly members: Record<string, Record<string, string>>;
  /** The errors that each operation may answer, by shape name. */
  readonly operations: Record<string, readonly string[]>;
  /** Query protocols: the wire code and HTTP status of error shapes. */
  readonly errors: Record<string, { readonly code: string; readonly status: number }>;
}

const NONE: ConstraintFile = { service: "", shapes: {}, members: {}, operations: {}, errors: {} };

/** Reads a service's data file; a service without one has no constraints beyond its shapes. */
export async function loadConstraints(service: string): Promise<ConstraintFile> {
  try {
    return JSON.parse(await readFile(new URL(`./constraints/${service}.json`, import.meta.url), "utf8")) as ConstraintFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return NONE;
    throw error;
  }
}
