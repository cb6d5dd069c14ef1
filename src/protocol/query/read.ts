import { AwsError } from "../../core/aws-error.ts";
import type { ShapeConstraint } from "../constraints.ts";
import type { Constraints } from "../model.ts";
import { showPath } from "../path.ts";
import type { Path } from "../path.ts";
import { identityOf, kindOf, membersOf } from "../schema.ts";
import type { Schema } from "../schema.ts";
import type { FormNode } from "./form.ts";

/** Turns a form's tree into the SDK's input types. `undefined`: nothing of it was there. */
type Read = (node: FormNode, path: Path) => unknown;

/** The two Query protocols differ in names (`ec2QueryName`, capital first letters) and in lists (always flat for EC2). */
export type QueryDialect = "awsQuery" | "ec2Query";

/** Compiles readers once a structure; shared by all operations of a service. */
export class QueryReaders {
  readonly #structures = new Map<object, Read>();
  readonly #constraints: Constraints;
  readonly #dialect: QueryDialect;

  constructor(constraints: Constraints, dialect: QueryDialect) {
    this.#constraints = constraints;
    this.#dialect = dialect;
  }

  compile(input: Schema): (form: FormNode) => Record<string, unknown> {
    if (kindOf(input) === "unit") return () => ({});
    const read = this.#structure(input);
    return (form) => (read(form, []) ?? {}) as Record<string, unknown>;
  }

  #compile(schema: Schema, constraint: ShapeConstraint | undefined): Read {
    const kind = kindOf(schema);
    switch (kind) {
      case "structure":
        return this.#structure(schema);
      case "list":
        return this.#list(schema, constraint);
      case "map":
        return this.#map(schema, constraint);
      case "number":
        return leaf(this.#constraints.known ? numberFrom(constraint?.type ?? "integer") : numberFrom("double"), this.#dialect);
      case "string":
      case "document":
        return leaf((text) => text, this.#dialect);
      case "boolean":
        return leaf(booleanFrom, this.#dialect);
      case "timestamp":
        return leaf(timestampFrom, this.#dialect);
      case "blob":
        return leaf(blobFrom, this.#dialect);
      case "unit":
        break;
    }
    return () => undefined;
  }

  /** The key of a member, as the SDK's own serializer for the protocol writes it. */
  #keyOf(schema: Schema, name: string, inStructure: boolean): string {
    const traits = schema.getMergedTraits();
    if (this.#dialect === "awsQuery") return traits.xmlName ?? name;
    const queryName = traits["ec2QueryName"] as string | undefined;
    if (queryName !== undefined) return queryName;
    const key = traits.xmlName ?? name;
    return inStructure ? key.charAt(0).toUpperCase() + key.slice(1) : key;
  }

  #structure(schema: Schema): Read {
    const identity = identityOf(schema);
    const made = this.#structures.get(identity);
    if (made !== undefined) return made;
    let members: readonly { readonly name: string; readonly key: string; readonly read: Read }[] = [];
    const read: Read = (node, path) => {
      const result: Record<string, unknown> = {};
      let any = false;
      for (const member of members) {
        const child = node.children.get(member.key);
        if (child === undefined) continue;
        path.push(member.name);
        const value = member.read(child, path);
        path.pop();
        if (value === undefined) continue;
        result[member.name] = value;
        any = true;
      }
      return any ? result : undefined;
    };
    this.#structures.set(identity, read);
    members = membersOf(schema).map(({ name, schema: member }) => ({
      name,
      key: this.#keyOf(member, name, true),
      read: this.#compile(member, this.#constraints.ofMember(schema, name)),
    }));
    return read;
  }

  #list(schema: Schema, constraint: ShapeConstraint | undefined): Read {
    const member = schema.getValueSchema();
    const read = this.#compile(member, this.#constraints.shape(constraint?.member));
    const flat = this.#dialect === "ec2Query" || schema.getMergedTraits().xmlFlattened !== undefined;
    const key = this.#keyOf(member, "member", false);
    return (node, path) => {
      const items = flat ? node : (node.children.get(key) ?? node.children.get("member") ?? node);
      if (items.children.size === 0) return emptyIfNamed(node);
      return numbered(items).flatMap((child, index) => {
        path.push(index);
        const value = read(child, path);
        path.pop();
        return value === undefined ? [] : [value];
      });
    };
  }

  #map(schema: Schema, constraint: ShapeConstraint | undefined): Read {
    const valueSchema = schema.getValueSchema();
    const read = this.#compile(valueSchema, this.#constraints.shape(constraint?.value));
    const flat = schema.getMergedTraits().xmlFlattened !== undefined;
    const keyName = this.#keyOf(schema.getKeySchema(), "key", false);
    const valueName = this.#keyOf(valueSchema, "value", false);
    return (node, path) => {
      const entries = flat ? node : node.children.get("entry");
      if (entries === undefined || entries.children.size === 0) return emptyIfNamed(node) === undefined ? undefined : {};
      const result: Record<string, unknown> = {};
      for (const entry of numbered(entries)) {
        const key = entry.children.get(keyName);
        const value = entry.children.get(valueName);
        if (key?.value === undefined || value === undefined) continue;
        key.read = true;
        path.push(key.value);
        Object.defineProperty(result, key.value, { value: read(value, path), enumerable: true, writable: true, configurable: true });
        path.pop();
      }
      return result;
    };
  }
}

/** `Tags=` alone is how an empty list is sent. */
function emptyIfNamed(node: FormNode): unknown[] | undefined {
  if (node.value !== "") return undefined;
  node.read = true;
  return [];
}

/** The children `1`, `2`, … in order; holes are closed, as AWS does. */
function numbered(node: FormNode): readonly FormNode[] {
  return [...node.children.entries()]
    .filter(([step]) => /^\d{1,9}$/.test(step))
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([, child]) => child);
}

interface NotA {
  readonly expected: string;
}

function leaf(convert: (text: string) => unknown, dialect: QueryDialect): Read {
  return (node, path) => {
    if (node.value === undefined) return undefined;
    node.read = true;
    const value = convert(node.value);
    if (typeof value === "object" && value !== null && "expected" in value) refuse(node.value, (value as NotA).expected, path, dialect);
    return value;
  };
}

function refuse(text: string, expected: string, path: Path, dialect: QueryDialect): never {
  if (dialect === "ec2Query") {
    throw new AwsError("InvalidParameterValue", `Value (${text}) for parameter ${showPath(path)} is invalid. Expected a(n) ${expected}.`);
  }
  throw new AwsError("MalformedInput", `Value '${text}' at '${showPath(path)}' can not be converted to ${expected}.`);
}

function numberFrom(type: "integer" | "long" | "float" | "double"): (text: string) => number | NotA {
  if (type === "float" || type === "double") {
    return (text) => (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^-?Infinity$|^NaN$/.test(text) ? Number(text) : { expected: "Double" });
  }
  const limit = type === "long" ? Number.MAX_SAFE_INTEGER : 2 ** 31 - 1;
  return (text) => {
    const value = Number(text);
    return /^[+-]?\d+$/.test(text) && value <= limit && value >= -limit - 1 ? value : { expected: type === "long" ? "Long" : "Integer" };
  };
}

function booleanFrom(text: string): boolean | NotA {
  const lower = text.toLowerCase();
  return lower === "true" ? true : lower === "false" ? false : { expected: "Boolean" };
}

function timestampFrom(text: string): Date | NotA {
  const time = /^\d{4}-\d\d-\d\d([T ].*)?$/.test(text) ? new Date(text) : new Date(text === "" ? Number.NaN : Number(text) * 1000);
  return Number.isNaN(time.getTime()) ? { expected: "Timestamp" } : time;
}

function blobFrom(text: string): Uint8Array | NotA {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return { expected: "Blob" };
  return new Uint8Array(Buffer.from(text, "base64"));
}
