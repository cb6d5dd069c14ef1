import type { ShapeConstraint, Wording } from "./constraints.ts";
import type { Constraints } from "./model.ts";
import { showPath } from "./path.ts";
import type { Path } from "./path.ts";
import { identityOf, kindOf, membersOf } from "./schema.ts";
import type { Kind, Schema } from "./schema.ts";

/** One thing wrong with an input. */
export interface Violation {
  /** As AWS shows it, e.g. `containerDefinitions.1.member.name`. */
  readonly path: string;
  /** As AWS shows it; `undefined` for a sensitive one. `null`: it is missing. */
  readonly value: string | null | undefined;
  /** e.g. `Member must not be null`. */
  readonly rule: string;
  /** For ECR's wording. */
  readonly ecrRule: string;
}

type Check = (value: unknown, path: Path, found: Violation[]) => void;

/** Checks required members, enumerations, lengths, patterns and ranges of a decoded input. Compiled once a structure. */
export class Validators {
  readonly #structures = new Map<object, Check>();
  readonly #constraints: Constraints;

  constructor(constraints: Constraints) {
    this.#constraints = constraints;
  }

  /** Answers all that is wrong, in the model's order; empty when nothing is. */
  compile(input: Schema): (value: unknown) => readonly Violation[] {
    if (kindOf(input) === "unit") return () => [];
    const check = this.#structure(input);
    return (value) => {
      const found: Violation[] = [];
      check(value, [], found);
      return found;
    };
  }

  #compile(schema: Schema, constraint: ShapeConstraint | undefined): Check | undefined {
    const kind = kindOf(schema);
    const own = constraint === undefined ? undefined : checkOwn(kind, constraint, isSensitive(schema));
    if (kind === "structure") return this.#structure(schema);
    if (kind === "list") return both(own, this.#list(schema, constraint));
    if (kind === "map") return both(own, this.#map(schema, constraint));
    return own;
  }

  #structure(schema: Schema): Check {
    const identity = identityOf(schema);
    const made = this.#structures.get(identity);
    if (made !== undefined) return made;
    // Structures may hold themselves: the members come after the check that loops over them is known.
    let members: readonly { readonly name: string; readonly required: boolean; readonly check: Check | undefined }[] = [];
    const check: Check = (value, path, found) => {
      const source = value as Record<string, unknown>;
      for (const member of members) {
        const item = source[member.name];
        if (item === undefined && !member.required) continue;
        path.push(member.name);
        if (item === undefined) found.push({ path: showPath(path), value: null, rule: "Member must not be null", ecrRule: "must not be null" });
        else member.check?.(item, path, found);
        path.pop();
      }
    };
    this.#structures.set(identity, check);
    members = membersOf(schema)
      .map(({ name, required, schema: member }) => ({ name, required, check: this.#compile(member, this.#constraints.ofMember(schema, name)) }))
      .filter((member) => member.required || member.check !== undefined);
    return check;
  }

  #list(schema: Schema, constraint: ShapeConstraint | undefined): Check | undefined {
    const member = schema.getValueSchema();
    const check = this.#compile(member, this.#constraints.shape(constraint?.member));
    if (check === undefined) return undefined;
    return (value, path, found) => {
      const items = value as readonly unknown[];
      for (let index = 0; index < items.length; index++) {
        path.push(index);
        check(items[index], path, found);
        path.pop();
      }
    };
  }

  #map(schema: Schema, constraint: ShapeConstraint | undefined): Check | undefined {
    const checkKey = this.#compile(schema.getKeySchema(), this.#constraints.shape(constraint?.key));
    const checkValue = this.#compile(schema.getValueSchema(), this.#constraints.shape(constraint?.value));
    if (checkKey === undefined && checkValue === undefined) return undefined;
    return (value, path, found) => {
      for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
        path.push(key);
        checkKey?.(key, path, found);
        checkValue?.(item, path, found);
        path.pop();
      }
    };
  }
}

function both(first: Check | undefined, second: Check | undefined): Check | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (value, path, found) => {
    first(value, path, found);
    second(value, path, found);
  };
}

function isSensitive(schema: Schema): boolean {
  return schema.getMergedTraits().sensitive !== undefined;
}

/** A rule in both wordings; `undefined` when the value keeps it. */
type Rule = (value: unknown) => Pick<Violation, "rule" | "ecrRule"> | undefined;

function checkOwn(kind: Kind, constraint: ShapeConstraint, sensitive: boolean): Check | undefined {
  const rules = rulesOf(kind, constraint);
  if (rules.length === 0) return undefined;
  return (value, path, found) => {
    for (const rule of rules) {
      const broken = rule(value);
      if (broken !== undefined) found.push({ path: showPath(path), value: sensitive ? undefined : showValue(value), ...broken });
    }
  };
}

function rulesOf(kind: Kind, constraint: ShapeConstraint): readonly Rule[] {
  const { min, max } = constraint;
  const rules: Rule[] = [];
  const measure = measureOf(kind);
  if (measure !== undefined) {
    const noun = kind === "number" ? "value" : "length";
    if (max !== undefined)
      rules.push(
        boundRule(
          (value) => measure(value) <= max,
          `Member must have ${noun} less than or equal to ${max}`,
          `must have ${noun} less than or equal to ${max}`,
        ),
      );
    if (min !== undefined)
      rules.push(
        boundRule(
          (value) => measure(value) >= min,
          `Member must have ${noun} greater than or equal to ${min}`,
          `must have ${noun} greater than or equal to ${min}`,
        ),
      );
  }
  if (kind === "string" && constraint.pattern !== undefined) {
    const pattern = new RegExp(`^(?:${constraint.regex ?? constraint.pattern})$`, "u");
    rules.push(
      boundRule(
        (value) => pattern.test(value as string),
        `Member must satisfy regular expression pattern: ${constraint.pattern}`,
        `must satisfy regular expression '${constraint.pattern}'`,
      ),
    );
  }
  if (kind === "string" && constraint.enum !== undefined) {
    const values = new Set<unknown>(constraint.enum);
    const shown = `[${constraint.enum.join(", ")}]`;
    rules.push(boundRule((value) => values.has(value), `Member must satisfy enum value set: ${shown}`, `must satisfy enum value set: ${shown}`));
  }
  return rules;
}

function boundRule(keeps: (value: unknown) => boolean, rule: string, ecrRule: string): Rule {
  const broken = { rule, ecrRule };
  return (value) => (keeps(value) ? undefined : broken);
}

function measureOf(kind: Kind): ((value: unknown) => number) | undefined {
  if (kind === "number") return Number;
  if (kind === "string") return (value) => characters(value as string);
  if (kind === "list") return (value) => (value as readonly unknown[]).length;
  if (kind === "map") return (value) => Object.keys(value as object).length;
  return kind === "blob" ? (value) => (value as Uint8Array).byteLength : undefined;
}

/** Unicode characters, not UTF-16 units. */
function characters(text: string): number {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index++) {
    if ((text.charCodeAt(index) & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00) count--;
  }
  return count;
}

function showValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => (typeof item === "object" ? "{…}" : String(item))).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{${Object.keys(value).join(", ")}}`;
  return String(value);
}

/** What AWS says of these violations, of which there is at least one. */
export function wordViolations(violations: readonly Violation[], wording: Wording): string {
  if (wording === "ecr") {
    const [first] = violations as readonly [Violation];
    return `Invalid parameter at '${first.path}' failed to satisfy constraint: '${first.ecrRule}'`;
  }
  const texts = violations.map(({ path, value, rule }) => {
    const shown = value === undefined ? "Value" : value === null ? "Value null" : `Value '${value}'`;
    return `${shown} at '${path}' failed to satisfy constraint: ${rule}`;
  });
  return `${violations.length} validation error${violations.length === 1 ? "" : "s"} detected: ${texts.join("; ")}`;
}
