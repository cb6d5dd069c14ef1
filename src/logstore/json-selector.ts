import { Problem } from "../core/problem.ts";

type Test = (value: unknown) => boolean;
type Step = string | number | typeof ANY;
const ANY = Symbol("[*]");

const TOKEN =
  /\s*(?:(&&|\|\||[(){}]|!=|>=|<=|[=><])|(\$(?:\.[\w\-@]+|\["[^"]*"\]|\['[^']*'\]|\[\d+\]|\[\*\])*)|"((?:[^"\\]|\\.)*)"|([^\s(){}"&|=<>!]+))/y;

type Token =
  | { readonly kind: "mark"; readonly text: string }
  | { readonly kind: "path"; readonly text: string }
  | { readonly kind: "quoted"; readonly text: string }
  | { readonly kind: "word"; readonly text: string };

/** Compiles `{ <condition> }` over a message that is a JSON object; a message that is none never passes. @throws Problem `invalid`, `unsupported`. */
export function parseJsonSelector(text: string): (message: string) => boolean {
  const test = new Parser(text).whole();
  return (message) => {
    if (!message.includes("{")) return false;
    let value: unknown;
    try {
      value = JSON.parse(message);
    } catch {
      return false;
    }
    return test(value);
  };
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  whole(): Test {
    this.#expect("{");
    const test = this.#or();
    this.#expect("}");
    if (this.#at !== this.#tokens.length) throw this.#problem();
    return test;
  }

  #or(): Test {
    const tests = [this.#and()];
    while (this.#accept("||")) tests.push(this.#and());
    return (value) => tests.some((test) => test(value));
  }

  #and(): Test {
    const tests = [this.#condition()];
    while (this.#accept("&&")) tests.push(this.#condition());
    return (value) => tests.every((test) => test(value));
  }

  #condition(): Test {
    if (this.#accept("(")) {
      const test = this.#or();
      this.#expect(")");
      return test;
    }
    const path = this.#next();
    if (path?.kind !== "path") throw this.#problem();
    const steps = stepsOf(path.text);
    const operator = this.#next();
    if (operator?.kind === "word") return this.#wordCondition(steps, operator.text);
    const operand = this.#next();
    if (operator?.kind !== "mark" || operand === undefined || operand.kind === "mark" || operand.kind === "path") throw this.#problem();
    const matches = comparison(operator.text, operand);
    if (matches === undefined) throw this.#problem();
    return (value) => found(value, steps).some(matches);
  }

  /** `IS NULL`, `IS TRUE`, `IS FALSE`, `NOT EXISTS`, `EXISTS`. */
  #wordCondition(steps: readonly Step[], word: string): Test {
    if (word === "EXISTS") return (value) => found(value, steps).length > 0;
    const second = this.#next();
    if (word === "NOT" && second?.text === "EXISTS") return (value) => found(value, steps).length === 0;
    const literal = { NULL: null, TRUE: true, FALSE: false }[second?.text ?? ""];
    if (word !== "IS" || literal === undefined) throw this.#problem();
    return (value) => found(value, steps).some((each) => each === literal);
  }

  #next(): Token | undefined {
    return this.#tokens[this.#at++];
  }

  #accept(mark: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "mark" || token.text !== mark) return false;
    this.#at++;
    return true;
  }

  #expect(mark: string): void {
    if (!this.#accept(mark)) throw this.#problem();
  }

  #problem(): Problem {
    return new Problem("invalid", `Invalid filter pattern: ${this.#text}`);
  }
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw new Problem("invalid", `Invalid filter pattern: ${text}`);
    const [, mark, path, quoted, word] = match;
    if (mark !== undefined) tokens.push({ kind: "mark", text: mark });
    else if (path !== undefined) tokens.push({ kind: "path", text: path });
    else if (quoted !== undefined) tokens.push({ kind: "quoted", text: quoted.replaceAll(/\\(.)/g, "$1") });
    else tokens.push({ kind: "word", text: word ?? "" });
  }
  return tokens;
}

function stepsOf(path: string): readonly Step[] {
  return [...path.matchAll(/\.([\w\-@]+)|\["([^"]*)"\]|\['([^']*)'\]|\[(\d+)\]|(\[\*\])/g)].map((match) => {
    if (match[5] !== undefined) return ANY;
    return match[4] === undefined ? (match[1] ?? match[2] ?? match[3] ?? "") : Number(match[4]);
  });
}

/** The values at a path; several with `[*]`, none when it leads nowhere. */
function found(value: unknown, steps: readonly Step[]): readonly unknown[] {
  let values: readonly unknown[] = [value];
  for (const step of steps) {
    values = values.flatMap((each): readonly unknown[] => {
      if (typeof each !== "object" || each === null) return [];
      if (step === ANY) return Array.isArray(each) ? each : [];
      return Object.hasOwn(each, step) ? [(each as Record<string | number, unknown>)[step]] : [];
    });
  }
  return values;
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function comparison(operator: string, operand: Token): ((value: unknown) => boolean) | undefined {
  const number = operand.kind === "word" && NUMBER.test(operand.text) ? Number(operand.text) : undefined;
  if (operand.kind === "word" && /^%.*%$/.test(operand.text)) {
    throw new Problem("unsupported", `regular expressions in filter patterns are not supported: ${operand.text}`);
  }
  switch (operator) {
    case "=":
      return number === undefined ? like(operand.text) : (value) => value === number || value === operand.text;
    case "!=": {
      const same = number === undefined ? like(operand.text) : (value: unknown): boolean => value === number || value === operand.text;
      return (value) => !same(value);
    }
    case ">":
      return number === undefined ? undefined : (value) => typeof value === "number" && value > number;
    case ">=":
      return number === undefined ? undefined : (value) => typeof value === "number" && value >= number;
    case "<":
      return number === undefined ? undefined : (value) => typeof value === "number" && value < number;
    case "<=":
      return number === undefined ? undefined : (value) => typeof value === "number" && value <= number;
    default:
      return undefined;
  }
}

/** Compares as text, with `*` for any run of characters; matched piece by piece, so that no pattern is slow. */
function like(pattern: string): (value: unknown) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  return (value) => {
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") return false;
    const text = String(value);
    if (last === undefined) return text === first;
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    for (const piece of rest) {
      const where = text.indexOf(piece, at);
      if (where < 0) return false;
      at = where + piece.length;
    }
    return at <= text.length - last.length;
  };
}
