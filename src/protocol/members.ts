import { isDeepStrictEqual } from "node:util";
import type { MemberTreatment, Members } from "../contracts/service.ts";
import { kindOf, membersOf } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** A member that is present and not acted on. */
export interface Refusal {
  /** e.g. `containerDefinitions.links`; list positions and map keys are left out. */
  readonly member: string;
  readonly reason: string;
}

/** Answers the first member of an input that must be refused. */
export type MemberCheck = (input: unknown) => Refusal | undefined;

const NOT_LISTED: MemberTreatment = { refused: "it is not built yet" };

/**
 * Compiles an operation's treatments. The longest listed path decides; what no path covers is refused. Empty lists and maps are let
 * through everywhere: what is refused can never have been set, so emptying it changes nothing.
 *
 * @throws TypeError for a listed path that the input does not have: a slip of the pen that would otherwise never be seen.
 */
export function compileMembers(input: Schema, members: Members): MemberCheck {
  const known = new Set<string>();
  const check = kindOf(input) === "structure" ? compileStructure(input, "", NOT_LISTED, { members, known }) : undefined;
  for (const path of Object.keys(members)) {
    if (!known.has(path)) throw new TypeError(`the input has no member ${path}`);
  }
  return check ?? (() => undefined);
}

interface Compilation {
  readonly members: Members;
  /** Listed paths that were met. */
  readonly known: Set<string>;
}

function compileStructure(schema: Schema, prefix: string, inherited: MemberTreatment, compilation: Compilation): MemberCheck | undefined {
  const checks: (readonly [string, MemberCheck])[] = [];
  for (const { name, schema: member } of membersOf(schema)) {
    const check = compileMember(member, prefix === "" ? name : `${prefix}.${name}`, inherited, compilation);
    if (check !== undefined) checks.push([name, check]);
  }
  if (checks.length === 0) return undefined;
  return (value) => {
    for (const [name, check] of checks) {
      const item = (value as Record<string, unknown>)[name];
      const refusal = item === undefined ? undefined : check(item);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}

function compileMember(schema: Schema, path: string, inherited: MemberTreatment, compilation: Compilation): MemberCheck | undefined {
  const own = compilation.members[path];
  if (own !== undefined) compilation.known.add(path);
  const treatment = own ?? inherited;
  const structure = structureIn(schema);
  const listedBelow = Object.keys(compilation.members).some((listed) => listed.startsWith(`${path}.`));
  if (structure !== undefined && listedBelow) {
    const below = compileStructure(structure, path, treatment, compilation);
    return below === undefined ? undefined : excusing(treatment, eachStructure(schema, below));
  }
  if (treatment === "used" || "ignored" in treatment) return undefined;
  const refusal: Refusal = { member: path, reason: treatment.refused };
  return excusing(treatment, (value) => (isEmptyCollection(schema, value) ? undefined : refusal));
}

/** Lets the values through that the treatment excuses. */
function excusing(treatment: MemberTreatment, check: MemberCheck): MemberCheck {
  const unless = treatment !== "used" && "refused" in treatment ? treatment.unless : undefined;
  if (unless === undefined) return check;
  return (value) => (unless.some((excused) => isDeepStrictEqual(excused, value)) ? undefined : check(value));
}

function isEmptyCollection(schema: Schema, value: unknown): boolean {
  const kind = kindOf(schema);
  return (kind === "list" && (value as readonly unknown[]).length === 0) || (kind === "map" && Object.keys(value as object).length === 0);
}

/** The structure that a member holds, straight or in lists and maps. */
function structureIn(schema: Schema): Schema | undefined {
  const kind = kindOf(schema);
  if (kind === "structure") return schema;
  return kind === "list" || kind === "map" ? structureIn(schema.getValueSchema()) : undefined;
}

function eachStructure(schema: Schema, check: MemberCheck): MemberCheck {
  if (kindOf(schema) === "structure") return check;
  const inner = eachStructure(schema.getValueSchema(), check);
  return (value) => {
    for (const item of Array.isArray(value) ? (value as unknown[]) : Object.values(value as object)) {
      const refusal = inner(item);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  };
}
