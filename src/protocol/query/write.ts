import { identityOf, kindOf, membersOf } from "../schema.ts";
import type { Schema } from "../schema.ts";
import type { QueryDialect } from "./read.ts";

/** Writes a value as the elements named `tag`. */
type Write = (value: unknown, tag: string) => string;

const SPECIAL = /[&<>"'\r\u0085\u2028]/g;
/** What XML 1.0 cannot carry at all. */
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\r": "&#xD;",
  "\u0085": "&#x85;",
  "\u2028": "&#x2028;",
};

/** Text for the inside of an element; characters that XML cannot carry become U+FFFD. */
export function escapeXml(text: string): string {
  return text.replace(SPECIAL, (character) => ENTITIES[character] ?? character).replace(FORBIDDEN, "\ufffd");
}

/** Compiles XML writers once a structure. A handler gives times as a Date, or as ms since the epoch. */
export class XmlWriters {
  readonly #structures = new Map<object, (value: unknown) => string>();
  readonly #dialect: QueryDialect;

  constructor(dialect: QueryDialect) {
    this.#dialect = dialect;
  }

  /** A writer of the structure's members, without an element around them. */
  compile(structure: Schema): (value: unknown) => string {
    return kindOf(structure) === "unit" ? () => "" : this.#content(structure);
  }

  #compile(schema: Schema): Write {
    const kind = kindOf(schema);
    switch (kind) {
      case "structure": {
        const content = this.#content(schema);
        return (value, tag) => element(tag, content(value));
      }
      case "list":
        return this.#list(schema);
      case "map":
        return this.#map(schema);
      case "timestamp":
        return (value, tag) => element(tag, this.#time(value));
      case "blob":
        return (value, tag) => element(tag, Buffer.from(value as Uint8Array).toString("base64"));
      case "string":
      case "boolean":
      case "number":
      case "document":
        return (value, tag) => element(tag, escapeXml(String(value)));
      case "unit":
        break;
    }
    return () => "";
  }

  #time(value: unknown): string {
    const text = (value instanceof Date ? value : new Date(Number(value))).toISOString();
    return this.#dialect === "ec2Query" ? text : text.replace(".000Z", "Z");
  }

  #content(schema: Schema): (value: unknown) => string {
    const identity = identityOf(schema);
    const made = this.#structures.get(identity);
    if (made !== undefined) return made;
    let members: readonly { readonly name: string; readonly tag: string; readonly write: Write }[] = [];
    const content = (value: unknown): string => {
      const source = value as Record<string, unknown>;
      let text = "";
      for (const member of members) {
        const found = source[member.name];
        if (found !== undefined && found !== null) text += member.write(found, member.tag);
      }
      return text;
    };
    this.#structures.set(identity, content);
    members = membersOf(schema).map(({ name, schema: member }) => ({
      name,
      tag: member.getMergedTraits().xmlName ?? name,
      write: this.#compile(member),
    }));
    return content;
  }

  #list(schema: Schema): Write {
    const member = schema.getValueSchema();
    const write = this.#compile(member);
    const flat = schema.getMergedTraits().xmlFlattened !== undefined;
    const memberTag = member.getMergedTraits().xmlName ?? (this.#dialect === "ec2Query" ? "item" : "member");
    return (value, tag) => {
      let text = "";
      for (const item of value as Iterable<unknown>) if (item !== undefined && item !== null) text += write(item, flat ? tag : memberTag);
      return flat ? text : element(tag, text);
    };
  }

  #map(schema: Schema): Write {
    const valueSchema = schema.getValueSchema();
    const write = this.#compile(valueSchema);
    const flat = schema.getMergedTraits().xmlFlattened !== undefined;
    const keyTag = schema.getKeySchema().getMergedTraits().xmlName ?? "key";
    const valueTag = valueSchema.getMergedTraits().xmlName ?? "value";
    return (value, tag) => {
      let text = "";
      for (const [key, entry] of Object.entries(value as Record<string, unknown>)) {
        if (entry === undefined || entry === null) continue;
        text += element(flat ? tag : "entry", element(keyTag, escapeXml(key)) + write(entry, valueTag));
      }
      return flat ? text : element(tag, text);
    };
  }
}

/** An element; an empty one closes itself. */
export function element(tag: string, content: string): string {
  return content === "" ? `<${tag}/>` : `<${tag}>${content}</${tag}>`;
}
