import { identityOf, kindOf, membersOf } from "../schema.ts";
import type { Schema } from "../schema.ts";
import type { NameOnWire } from "./read.ts";

type Write = (value: unknown) => string;

/** Needs escaping, or may: quotes, backslashes, controls, lone surrogates. */
// eslint-disable-next-line no-control-regex
const DELICATE = /[\u0000-\u001f"\\\ud800-\udfff]/;

/**
 * Compiles writers once a structure. Only what the model has goes over the wire, in the model's order; `undefined` and `null` are left
 * out. Times are epoch seconds with a fraction of ms; a handler gives a Date, or ms since the epoch as a number.
 *
 * A frozen structure inside a list is taken as never changing: its text is kept and used again when the same object is answered again.
 */
export class JsonWriters {
  readonly #structures = new Map<object, Write>();
  readonly #nameOnWire: NameOnWire;

  constructor(nameOnWire: NameOnWire = (name) => name) {
    this.#nameOnWire = nameOnWire;
  }

  compile(output: Schema): Write {
    return kindOf(output) === "unit" ? () => "{}" : this.#structure(output);
  }

  #compile(schema: Schema): Write {
    const kind = kindOf(schema);
    switch (kind) {
      case "structure":
        return this.#structure(schema);
      case "list": {
        const member = schema.getValueSchema();
        const write = this.#compile(member);
        return writeList(kindOf(member) === "structure" ? keeping(write) : write);
      }
      case "map":
        return writeMap(this.#compile(schema.getValueSchema()));
      case "string":
        return (value) => quote(String(value));
      case "boolean":
        return (value) => (value ? "true" : "false");
      case "number":
        return (value) => (Number.isFinite(Number(value)) ? String(value) : `"${String(value)}"`);
      case "timestamp":
        return (value) => String((value instanceof Date ? value.getTime() : Number(value)) / 1000);
      case "blob":
        return (value) => `"${Buffer.from(value as Uint8Array).toString("base64")}"`;
      case "document":
        return (value) => JSON.stringify(value);
      case "unit":
        break;
    }
    return () => "{}";
  }

  #structure(schema: Schema): Write {
    const identity = identityOf(schema);
    const made = this.#structures.get(identity);
    if (made !== undefined) return made;
    let members: readonly { readonly name: string; readonly key: string; readonly write: Write }[] = [];
    const write: Write = (value) => {
      const source = value as Record<string, unknown>;
      let text = "";
      for (const member of members) {
        const found = source[member.name];
        if (found === undefined || found === null) continue;
        text += text === "" ? member.key : `,${member.key}`;
        text += member.write(found);
      }
      return `{${text}}`;
    };
    this.#structures.set(identity, write);
    members = membersOf(schema).map(({ name, schema: member }) => ({
      name,
      key: `${JSON.stringify(this.#nameOnWire(name, member))}:`,
      write: this.#compile(member),
    }));
    return write;
  }
}

function keeping(write: Write): Write {
  const kept = new WeakMap<object, string>();
  return (value) => {
    if (typeof value !== "object" || value === null || !Object.isFrozen(value)) return write(value);
    let text = kept.get(value);
    if (text === undefined) kept.set(value, (text = write(value)));
    return text;
  };
}

function writeList(write: Write): Write {
  return (value) => {
    let text = "";
    for (const item of value as Iterable<unknown>) {
      if (item === undefined || item === null) continue;
      text += text === "" ? write(item) : `,${write(item)}`;
    }
    return `[${text}]`;
  };
}

function writeMap(write: Write): Write {
  return (value) => {
    let text = "";
    for (const [key, entry] of Object.entries(value as Record<string, unknown>)) {
      if (entry === undefined || entry === null) continue;
      text += `${text === "" ? "" : ","}${quote(key)}:${write(entry)}`;
    }
    return `{${text}}`;
  };
}

function quote(text: string): string {
  return text.length < 512 && !DELICATE.test(text) ? `"${text}"` : JSON.stringify(text);
}
