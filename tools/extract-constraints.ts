/**
 * Takes from botocore's models what the SDK's schemas do not carry (enumerations, lengths, patterns, ranges, kinds of numbers, each
 * operation's errors) and writes `src/protocol/constraints/<service>.json`. Needs python3 with botocore.
 *
 *     node tools/extract-constraints.ts [service …]
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ConstraintFile, ShapeConstraint, Wording } from "../src/protocol/constraints.ts";
import { EC2_OPERATIONS } from "./ec2-operations.ts";

interface Shape {
  readonly type: string;
  readonly members?: Readonly<Record<string, { readonly shape: string }>>;
  readonly member?: { readonly shape: string };
  readonly key?: { readonly shape: string };
  readonly value?: { readonly shape: string };
  readonly enum?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly exception?: boolean;
  readonly error?: { readonly code?: string; readonly httpStatusCode?: number };
}

interface Model {
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly operations: Readonly<
    Record<string, { readonly input?: { readonly shape: string }; readonly errors?: readonly { readonly shape: string }[] }>
  >;
}

interface Plan {
  readonly wording?: Wording;
  /** Only what these operations reach; all when left out. */
  readonly operations?: readonly string[];
  /** Values that the live API takes and the model lacks. */
  readonly extraEnum?: Readonly<Record<string, readonly string[]>>;
}

const PLANS: Readonly<Record<string, Plan>> = {
  ecs: { extraEnum: { SettingName: ["dualStackIPv6"] } },
  ecr: { wording: "ecr" },
  ec2: { operations: EC2_OPERATIONS },
  elbv2: {},
  logs: {},
  iam: {},
  sts: {},
  eks: {},
  "eks-auth": {},
};

const LOAD = `
import json, sys, botocore.session
loader = botocore.session.get_session().get_component("data_loader")
json.dump(loader.load_service_model(sys.argv[1], "service-2"), sys.stdout)
`;

function loadModel(service: string): Model {
  return JSON.parse(execFileSync("python3", ["-c", LOAD, service], { encoding: "utf8", maxBuffer: 1 << 28 })) as Model;
}

const POSIX: Readonly<Record<string, string>> = {
  Alnum: "[A-Za-z0-9]",
  Alpha: "[A-Za-z]",
  Digit: "[0-9]",
  Lower: "[a-z]",
  Upper: "[A-Z]",
  Graph: "[\\x21-\\x7e]",
  Print: "[\\x20-\\x7e]",
  Space: "\\s",
  ASCII: "[\\x00-\\x7f]",
};

/** A Java pattern as a JavaScript one with the `u` flag; `undefined` when it already is one. */
function translatePattern(pattern: string): string | undefined {
  if (compiles(pattern)) return undefined;
  let inClass = false;
  const translated = pattern.replace(/\\p\{(\w+)\}|\\(.)|[[\]]/gsu, (whole, posix: string | undefined, escaped: string | undefined) => {
    if (posix !== undefined) return POSIX[posix] === undefined ? whole : inClass ? POSIX[posix].replace(/^\[|\]$/gu, "") : POSIX[posix];
    if (escaped !== undefined)
      return /[\^$\\.*+?()[\]{}|/\wdDwWsSbBnrtfv]/u.test(escaped) && escaped !== "_" ? whole : escaped === "-" && inClass ? whole : escaped;
    if (whole === "[" && inClass) return "\\[";
    inClass = whole === "[";
    return whole;
  });
  const fixed = [translated, translated.replace(/(\\[wdsW]|\\p\{\w+\})-/gu, "$1\\-").replace(/-(\\[wds])/gu, "\\-$1")].find(compiles);
  if (fixed === undefined) throw new Error(`no JavaScript form of the pattern ${pattern}`);
  return fixed;
}

function compiles(pattern: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`, "u") instanceof RegExp;
  } catch {
    return false;
  }
}

class Extraction {
  readonly shapes: Record<string, ShapeConstraint> = {};
  readonly members: Record<string, Record<string, string>> = {};
  readonly #model: Model;
  readonly #plan: Plan;

  constructor(model: Model, plan: Plan) {
    this.#model = model;
    this.#plan = plan;
  }

  /** Visits a shape; answers its name when it, or what it holds beside structures, is constrained. */
  visit(name: string): string | undefined {
    if (name in this.shapes) return name;
    const shape = this.#model.shapes[name];
    if (shape === undefined) throw new Error(`no shape ${name}`);
    if (shape.type === "structure") {
      this.#structure(name, shape);
      return undefined;
    }
    const found = this.#constraintOf(name, shape);
    if (Object.keys(found).length === 0) return undefined;
    this.shapes[name] = found;
    return name;
  }

  #structure(name: string, shape: Shape): void {
    if (name in this.members) return;
    const members: Record<string, string> = {};
    this.members[name] = members;
    for (const [member, target] of Object.entries(shape.members ?? {})) {
      const found = this.visit(target.shape);
      if (found !== undefined) members[member] = found;
    }
  }

  #constraintOf(name: string, shape: Shape): ShapeConstraint {
    const translated = shape.pattern === undefined ? undefined : translatePattern(shape.pattern);
    const member = shape.member && this.visit(shape.member.shape);
    const key = shape.key && this.visit(shape.key.shape);
    const value = shape.value && this.visit(shape.value.shape);
    return {
      ...(["long", "float", "double"].includes(shape.type) && { type: shape.type as "long" }),
      ...(shape.enum && { enum: [...shape.enum, ...(this.#plan.extraEnum?.[name] ?? [])] }),
      ...(shape.min !== undefined && { min: shape.min }),
      ...(shape.max !== undefined && { max: shape.max }),
      ...(shape.pattern !== undefined &&
        !matchesAll(shape.pattern) && { pattern: shape.pattern, ...(translated !== undefined && { regex: translated }) }),
      ...(member !== undefined && { member }),
      ...(key !== undefined && { key }),
      ...(value !== undefined && { value }),
    };
  }
}

/** Patterns such as `.*` that refuse nothing that could be meant. */
function matchesAll(pattern: string): boolean {
  return pattern === ".*" || pattern === "[\\s\\S]*";
}

function extract(service: string): ConstraintFile {
  const plan = PLANS[service] ?? {};
  const model = loadModel(service);
  const extraction = new Extraction(model, plan);
  const operations: Record<string, readonly string[]> = {};
  const errors: ConstraintFile["errors"] = {};
  for (const name of Object.keys(model.operations).sort()) {
    if (plan.operations !== undefined && !plan.operations.includes(name)) continue;
    const operation = model.operations[name]!;
    if (operation.input !== undefined) extraction.visit(operation.input.shape);
    operations[name] = (operation.errors ?? []).map((error) => error.shape);
    for (const shape of operations[name]) {
      const error = model.shapes[shape]?.error;
      if (error !== undefined) errors[shape] = { code: error.code ?? shape, status: error.httpStatusCode ?? 400 };
    }
  }
  for (const name of plan.operations ?? []) if (!(name in model.operations)) throw new Error(`${service} has no operation ${name}`);
  const members = Object.fromEntries(Object.entries(extraction.members).filter(([, found]) => Object.keys(found).length > 0));
  return { service, ...(plan.wording && { wording: plan.wording }), shapes: extraction.shapes, members, operations, errors };
}

/** One line an entry, so that a new model shows as a small difference. */
function format(file: ConstraintFile): string {
  const parts = Object.entries(file).map(([key, value]) => {
    if (typeof value !== "object") return `${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    const lines = Object.keys(value)
      .sort()
      .map((name) => `${JSON.stringify(name)}: ${JSON.stringify((value as Record<string, unknown>)[name])}`);
    return `${JSON.stringify(key)}: {\n${lines.join(",\n")}\n}`;
  });
  return `{\n${parts.join(",\n")}\n}\n`;
}

for (const service of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PLANS)) {
  const path = resolve(import.meta.dirname, `../src/protocol/constraints/${service}.json`);
  const text = format(extract(service));
  writeFileSync(path, text);
  console.log(`${service}: ${text.length} bytes`);
}
