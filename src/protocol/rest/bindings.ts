import { kindOf, membersOf, nameOf } from "../schema.ts";
import type { Schema } from "../schema.ts";

/** Where members of an input come from, if not from the body. */
export interface Bindings {
  /** Members of the path. */
  readonly labels: readonly BoundMember[];
  /** Members of the query string, with the name that they have there. */
  readonly query: readonly (BoundMember & { readonly parameter: string })[];
}

export interface BoundMember {
  readonly name: string;
  readonly schema: Schema;
}

/** Bindings that no service here has: a service that brings one is not read wrongly, but not at all. */
const NOT_BUILT = ["httpHeader", "httpPrefixHeaders", "httpPayload", "httpQueryParams", "httpResponseCode"];

/** @throws TypeError for a binding that is not built. */
export function bindingsOf(structure: Schema): Bindings {
  const labels: BoundMember[] = [];
  const query: (BoundMember & { readonly parameter: string })[] = [];
  for (const { name, schema } of kindOf(structure) === "unit" ? [] : membersOf(structure)) {
    const traits = schema.getMergedTraits() as Readonly<Record<string, unknown>>;
    const strange = NOT_BUILT.find((trait) => traits[trait] !== undefined);
    if (strange !== undefined) throw new TypeError(`${nameOf(structure)}$${name} is bound by ${strange}, which restJson1 does not carry here`);
    if (traits["httpLabel"] !== undefined) labels.push({ name, schema });
    const parameter = traits["httpQuery"];
    if (typeof parameter === "string") query.push({ name, schema, parameter });
  }
  return { labels, query };
}

/** What JSON would hold for a text of the URL; a text that is none of its kind stays one, for the reader to refuse. */
export function jsonOf(schema: Schema, texts: readonly string[]): unknown {
  const kind = kindOf(schema);
  if (kind === "list") return texts.map((text) => jsonOf(schema.getValueSchema(), [text]));
  const [text = ""] = texts;
  if (kind === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (kind === "number") return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  return text;
}
