import type { JsonSchema } from "./definition.ts";

/** What of a value does not fit, with its path, e.g. `$.replicaCount: string found, integer expected`; empty when all does. Pure. */
export function faultsOf(schema: JsonSchema, value: unknown, path = "$"): readonly string[] {
  if (schema.type !== undefined && !isOf(schema.type, value)) return [`${path}: ${typeOf(value)} found, ${schema.type} expected`];
  if (schema.enum !== undefined && !schema.enum.includes(String(value))) {
    return [`${path}: does not have a value in the enumeration ${JSON.stringify(schema.enum)}`];
  }
  if (schema.minimum !== undefined && Number(value) < schema.minimum) return [`${path}: must have a minimum value of ${schema.minimum}`];
  if (Array.isArray(value)) return value.flatMap((item, index) => faultsOf(schema.items ?? {}, item, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const known = schema.properties?.[name] ?? schema.additionalProperties ?? true;
    if (known === false) return [`${path}.${name}: is not defined in the schema and the schema does not allow additional properties`];
    return known === true ? [] : faultsOf(known, member, `${path}.${name}`);
  });
}

function isOf(type: NonNullable<JsonSchema["type"]>, value: unknown): boolean {
  return typeOf(value) === type || (type === "number" && typeOf(value) === "integer");
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}
