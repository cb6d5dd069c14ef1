/**
 * What a program has asked to be stored, and what of it was acknowledged: for each key a row of values. After a cut the last one that was
 * acknowledged must be there, or one that was asked for after it.
 */
import { openSync, writeSync } from "node:fs";

/** `undefined` in JSON's stead: the key is not there. */
export type Value = string | null;

type Line = { readonly begin: string; readonly value: Value } | { readonly done: string };

/** The program's side. Each line is on its way before the next statement runs. */
export class LedgerWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  begin(key: string, value: Value): void {
    this.#write({ begin: key, value });
  }

  /** The last value that was begun for the key is acknowledged. */
  done(key: string): void {
    this.#write({ done: key });
  }

  #write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** The reader's side. */
export class Ledger {
  readonly #allowed = new Map<string, Value[]>();
  readonly #acknowledged = new Map<string, Value>();

  constructor(lines: readonly string[]) {
    for (const text of lines) {
      const line = JSON.parse(text) as Line;
      if ("begin" in line) this.#allowed.set(line.begin, [...(this.#allowed.get(line.begin) ?? [null]), line.value]);
      else {
        const value = this.#allowed.get(line.done)?.at(-1) ?? null;
        this.#acknowledged.set(line.done, value);
        this.#allowed.set(line.done, [value]);
      }
    }
  }

  keys(prefix = ""): readonly string[] {
    return [...this.#allowed.keys()].filter((key) => key.startsWith(prefix));
  }

  /** What may be there after a cut; what was acknowledged last comes first. */
  allowed(key: string): readonly Value[] {
    return this.#allowed.get(key) ?? [null];
  }

  acknowledged(key: string): Value {
    return this.#acknowledged.get(key) ?? null;
  }

  /** In words, when what is there is not what may be. */
  judge(key: string, found: Value): string | undefined {
    const allowed = this.allowed(key);
    if (allowed.includes(found)) return undefined;
    return `${key} is ${show(found)}; it must be ${allowed.map(show).join(" or ")}`;
  }
}

function show(value: Value): string {
  return value === null ? "not there" : `'${value.slice(0, 40)}'`;
}
