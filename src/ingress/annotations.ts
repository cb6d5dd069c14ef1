import { Problem } from "../core/problem.ts";

/** Reads the annotations of one prefix; each that is read is known, and `refuseRest` names those that nobody read. */
export class Annotations {
  readonly #values: ReadonlyMap<string, string>;
  readonly #prefix: string;
  readonly #read = new Set<string>();

  constructor(all: Readonly<Record<string, string>> | undefined, prefix: string) {
    this.#prefix = prefix;
    const own = Object.entries(all ?? {}).filter(([key]) => key.startsWith(prefix));
    this.#values = new Map(own.map(([key, value]) => [key.slice(prefix.length), value.trim()]));
  }

  text(name: string): string | undefined {
    this.#read.add(name);
    const value = this.#values.get(name);
    return value === "" ? undefined : value;
  }

  /** Separated by commas. */
  list(name: string): readonly string[] | undefined {
    return this.text(name)
      ?.split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  }

  /** `a=b,c=d`. */
  pairs(name: string): Readonly<Record<string, string>> {
    const parts = (this.list(name) ?? []).map((part) => {
      const at = part.indexOf("=");
      if (at < 1) throw this.#invalid(name, `${part} is not of the form key=value`);
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const;
    });
    return Object.fromEntries(parts);
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (!/^\d+$/.test(value)) throw this.#invalid(name, `${value} is no number`);
    return Number(value);
  }

  flag(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (value !== "true" && value !== "false") throw this.#invalid(name, `${value} is neither true nor false`);
    return value === "true";
  }

  json(name: string): unknown {
    const value = this.text(name);
    if (value === undefined) return undefined;
    try {
      return JSON.parse(value) as unknown;
    } catch (cause) {
      throw new Problem("invalid", `annotation ${this.#prefix}${name}: it is no JSON: ${value}`, { cause });
    }
  }

  /** One of these values or none. */
  choice<const T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.text(name);
    const found = values.find((each) => each === value);
    if (value !== undefined && found === undefined) throw this.#invalid(name, `${value} is not supported; use ${values.join(" or ")}`);
    return found;
  }

  /** Names that begin with `prefix`, without it. */
  named(prefix: string): readonly string[] {
    const names = [...this.#values.keys()].filter((name) => name.startsWith(prefix));
    for (const name of names) this.#read.add(name);
    return names.map((name) => name.slice(prefix.length));
  }

  /** @throws Problem `unsupported` naming an annotation of the prefix that nobody has read. */
  refuseRest(): void {
    const rest = [...this.#values.keys()].find((name) => !this.#read.has(name));
    if (rest !== undefined) throw new Problem("unsupported", `annotation ${this.#prefix}${rest}: not built yet; remove it`);
  }

  #invalid(name: string, why: string): Problem {
    return new Problem("invalid", `annotation ${this.#prefix}${name}: ${why}`);
  }
}

/** An object that a JSON annotation holds, or no value as an empty one. @throws Problem `invalid` for anything else. `where`: what it is of. */
export function objectIn(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new Problem("invalid", `${where}: ${JSON.stringify(value)} is no object`);
}

/** As `objectIn`, a list. */
export function listIn(value: unknown, where: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new Problem("invalid", `${where}: ${JSON.stringify(value)} is no list`);
}

/** As `objectIn`, a text; `undefined` for no value. */
export function textIn(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw new Problem("invalid", `${where}: ${JSON.stringify(value)} is no text: write it in quotes`);
}

/** Ids of subnets or security groups. @throws Problem `unsupported` for names. */
export function idsOf(annotations: Annotations, name: string, kind: "subnet" | "sg"): readonly string[] | undefined {
  const ids = annotations.list(name);
  const other = ids?.find((id) => !id.startsWith(`${kind}-`));
  if (other !== undefined)
    throw new Problem("unsupported", `${other} is no id (${kind}-…): names of ${kind === "sg" ? "security groups" : "subnets"} are not built yet`);
  return ids;
}
