import { AwsError } from "../../core/aws-error.ts";
import type { ShapeConstraint } from "../constraints.ts";
import type { Constraints } from "../model.ts";
import { showPath } from "../path.ts";
import type { Path } from "../path.ts";
import { identityOf, kindOf, membersOf } from "../schema.ts";
import type { Schema } from "../schema.ts";

/** Turns what JSON.parse made into the SDK's input types (Date, Uint8Array); throws SerializationException for a wrong type, by path. */
type Read = (value: unknown, path: Path) => unknown;

/** How a member is called in the body: by its name in awsJson, by its `jsonName` in the REST protocols. */
export type NameOnWire = (name: string, member: Schema) => string;

const MAX_INTEGER = 2 ** 31 - 1;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Compiles readers once a structure; shared by all operations of a service. */
export class JsonReaders {
  readonly #structures = new Map<object, Read>();
  readonly #constraints: Constraints;
  readonly #nameOnWire: NameOnWire;

  constructor(constraints: Constraints, nameOnWire: NameOnWire = (name) => name) {
    this.#constraints = constraints;
    this.#nameOnWire = nameOnWire;
  }

  /** The reader of an operation's whole input, as {@link parseBody} gives it. */
  compile(input: Schema): (body: unknown) => Record<string, unknown> {
    const read = kindOf(input) === "unit" ? () => ({}) : this.#structure(input);
    return (body) => read(body, []) as Record<string, unknown>;
  }

  #compile(schema: Schema, constraint: ShapeConstraint | undefined): Read {
    const kind = kindOf(schema);
    switch (kind) {
      case "structure":
        return this.#structure(schema);
      case "list":
        return readList(this.#compile(schema.getValueSchema(), this.#constraints.shape(constraint?.member)));
      case "map":
        return readMap(this.#compile(schema.getValueSchema(), this.#constraints.shape(constraint?.value)));
      case "number":
        return this.#constraints.known ? readNumber(constraint?.type ?? "integer") : readNumber("double");
      case "string":
        return (value, path) => (typeof value === "string" ? value : refuse(value, "String", path));
      case "boolean":
        return (value, path) => (typeof value === "boolean" ? value : refuse(value, "Boolean", path));
      case "timestamp":
        return (value, path) => (typeof value === "number" && Math.abs(value) <= 8.64e12 ? new Date(value * 1000) : refuse(value, "Timestamp", path));
      case "blob":
        return readBlob;
      case "document":
        return (value) => value;
      case "unit":
        break;
    }
    return () => ({});
  }

  #structure(schema: Schema): Read {
    const identity = identityOf(schema);
    const made = this.#structures.get(identity);
    if (made !== undefined) return made;
    // Structures may hold themselves: what is given out before the members are compiled looks the members up when it is called.
    let members: readonly (readonly [name: string, key: string, read: Read])[] = [];
    const read: Read = (value, path) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(value, "Structure", path);
      const source = value as Record<string, unknown>;
      const result: Record<string, unknown> = {};
      for (const [name, key, readMember] of members) {
        if (!Object.hasOwn(source, key)) continue;
        const found = source[key];
        if (found === null || found === undefined) continue;
        path.push(name);
        result[name] = readMember(found, path);
        path.pop();
      }
      return result;
    };
    this.#structures.set(identity, read);
    members = membersOf(schema).map(({ name, schema: member }) => [
      name,
      this.#nameOnWire(name, member),
      this.#compile(member, this.#constraints.ofMember(schema, name)),
    ]);
    return read;
  }
}

/** An empty body is an empty structure. @throws AwsError SerializationException for what is no JSON. */
export function parseBody(body: string): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body) as unknown;
  } catch (cause) {
    throw new AwsError("SerializationException", `The request body is not valid JSON: ${(cause as Error).message}`, { cause });
  }
}

function readList(readMember: Read): Read {
  return (value, path) => {
    if (!Array.isArray(value)) return refuse(value, "List", path);
    const result: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      // AWS's JSON services drop null elements of lists that may not hold any.
      if (value[index] === null) continue;
      path.push(index);
      result.push(readMember(value[index], path));
      path.pop();
    }
    return result;
  };
}

function readMap(readValue: Read): Read {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(value, "Map", path);
    const result: Record<string, unknown> = {};
    for (const [key, entry] of Object.entries(value)) {
      if (entry === null) continue;
      path.push(key);
      // Defined, not assigned: a key may be `__proto__`.
      Object.defineProperty(result, key, { value: readValue(entry, path), enumerable: true, writable: true, configurable: true });
      path.pop();
    }
    return result;
  };
}

function readNumber(type: "integer" | "long" | "float" | "double"): Read {
  if (type === "float" || type === "double") {
    return (value, path) => (typeof value === "number" ? value : (SPECIAL_NUMBERS.get(value) ?? refuse(value, "Double", path)));
  }
  const name = type === "long" ? "Long" : "Integer";
  const limit = type === "long" ? Number.MAX_SAFE_INTEGER : MAX_INTEGER;
  return (value, path) =>
    typeof value === "number" && Number.isInteger(value) && value <= limit && value >= -limit - 1 ? value : refuse(value, name, path);
}

const SPECIAL_NUMBERS = new Map<unknown, number>([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

function readBlob(value: unknown, path: Path): unknown {
  if (typeof value !== "string" || value.length % 4 !== 0 || !BASE64.test(value)) return refuse(value, "Blob", path);
  return new Uint8Array(Buffer.from(value, "base64"));
}

function refuse(value: unknown, wanted: string, path: Path): never {
  const where = path.length === 0 ? "" : ` at '${showPath(path)}'`;
  if (typeof value === "object" && value !== null) {
    const found = Array.isArray(value) ? "list" : "structure or map";
    throw new AwsError("SerializationException", `Start of ${found} found where not expected${where}: expected ${wanted}.`);
  }
  throw new AwsError("SerializationException", `${wordFor(value)} can not be converted to ${wanted}${where}.`);
}

/** AWS's names for JSON's tokens. */
function wordFor(value: unknown): string {
  if (typeof value === "string") return "STRING_VALUE";
  if (typeof value === "number") return Number.isInteger(value) ? "NUMBER_VALUE" : "DECIMAL_VALUE";
  return value === true ? "TRUE_VALUE" : value === false ? "FALSE_VALUE" : "NULL_VALUE";
}
