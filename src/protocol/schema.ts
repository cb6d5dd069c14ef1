import { NormalizedSchema } from "@smithy/core/schema";
import type { SchemaRef } from "@smithy/types";

/** What a shape is on the wire, as the SDK's schema says. Enumerations are strings, all kinds of numbers are numbers. */
export type Kind = "structure" | "list" | "map" | "string" | "boolean" | "number" | "timestamp" | "blob" | "document" | "unit";

export type Schema = NormalizedSchema;

export interface Member {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
}

export interface OperationShape {
  readonly name: string;
  readonly input: Schema;
  readonly output: Schema;
  readonly traits: Readonly<Record<string, unknown>>;
}

export interface ErrorShape {
  /** The shape's name, e.g. `EntityAlreadyExistsException`. */
  readonly name: string;
  /** What goes over the wire in the Query protocols, e.g. `EntityAlreadyExists`; elsewhere the name. */
  readonly code: string;
  readonly httpStatus: number;
  readonly schema: Schema;
}

/** @throws TypeError for a schema of a kind that no protocol here can carry. */
export function kindOf(schema: Schema): Kind {
  if (schema.isStructSchema()) return "structure";
  if (schema.isListSchema()) return "list";
  if (schema.isMapSchema()) return "map";
  if (schema.isUnitSchema()) return "unit";
  if (schema.isStringSchema()) return "string";
  if (schema.isBooleanSchema()) return "boolean";
  if (schema.isNumericSchema() || schema.isBigIntegerSchema() || schema.isBigDecimalSchema()) return "number";
  if (schema.isTimestampSchema()) return "timestamp";
  if (schema.isBlobSchema()) return "blob";
  if (schema.isDocumentSchema()) return "document";
  throw new TypeError(`schema ${schema.getName(true)} is of no known kind`);
}

/** A structure's members in the model's order; the first `n` are required, `n` being the seventh element of the static schema. */
export function membersOf(structure: Schema): readonly Member[] {
  const requiredCount = Number((structure.getSchema() as unknown as readonly unknown[])[6] ?? 0);
  return [...structure.structIterator()].map(([name, schema], index) => ({ name, schema: schema, required: index < requiredCount }));
}

/** The name of a structure without its namespace. */
export function nameOf(structure: Schema): string {
  return structure.getName() ?? "";
}

/** The static schema behind a structure: the same object for every member that targets it, so a key for caches. */
export function identityOf(structure: Schema): object {
  return structure.getSchema() as unknown as object;
}

function staticSchemas(module: Readonly<Record<string, unknown>>, id: number): readonly (readonly unknown[])[] {
  return Object.values(module).filter((value): value is readonly unknown[] => Array.isArray(value) && value[0] === id);
}

function resolveRef(ref: unknown): Schema {
  return NormalizedSchema.of(ref as SchemaRef);
}

/** The operations that an SDK client's module exports (`RunTask$` and the like), by name. */
export function operationsOf(module: Readonly<Record<string, unknown>>): ReadonlyMap<string, OperationShape> {
  return new Map(
    staticSchemas(module, 9).map((schema) => {
      const name = String(schema[2]);
      const traits = typeof schema[3] === "object" ? (schema[3] as Record<string, unknown>) : {};
      return [name, { name, traits, input: resolveRef(schema[4]), output: resolveRef(schema[5]) }];
    }),
  );
}

/** The error shapes of an SDK client's module, by shape name and by wire code. */
export function errorsOf(module: Readonly<Record<string, unknown>>): ReadonlyMap<string, ErrorShape> {
  const found = new Map<string, ErrorShape>();
  for (const schema of staticSchemas(module, -3)) {
    const name = String(schema[2]);
    const traits = (typeof schema[3] === "object" ? schema[3] : {}) as Record<string, unknown>;
    const [code, queryStatus] = (traits["awsQueryError"] as [string, number] | undefined) ?? [name, undefined];
    const httpStatus = queryStatus ?? (traits["httpError"] as number | undefined) ?? (traits["error"] === "server" ? 500 : 400);
    const shape: ErrorShape = { name, code, httpStatus, schema: resolveRef(schema) };
    found.set(name, shape);
    if (!found.has(code)) found.set(code, shape);
  }
  return found;
}
