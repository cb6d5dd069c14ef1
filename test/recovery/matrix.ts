/**
 * The size and the seed of the recovery matrix: a part of it in `npm test`, the whole in `npm run test:recovery`. A test of a file that
 * imports this says, when it fails, how it is run again with the same instants.
 */
import { relative, resolve } from "node:path";
import { beforeEach } from "vitest";

/** Whether the whole matrix runs (`TIDEGATE_RECOVERY=full`). */
export const full = process.env["TIDEGATE_RECOVERY"] === "full";

/** Of this run; a failed one is repeated with `TIDEGATE_RECOVERY_SEED=<seed>`. */
export const seed = Number(process.env["TIDEGATE_RECOVERY_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

interface Named {
  readonly name: string;
  readonly suite?: Named;
}

/** The command that repeats one test alone, with its seed: each test draws from rows of its own. */
export function replayOf(path: string, test: Named): string {
  const names: string[] = [];
  for (let each: Named | undefined = test; each !== undefined; each = each.suite) names.unshift(each.name);
  // What a shell or a regular expression would take for something else is any character.
  const pattern = names.join(" > ").replaceAll(/[^\w ]/g, ".");
  const size = full ? "TIDEGATE_RECOVERY=full " : "";
  return `${size}TIDEGATE_RECOVERY_SEED=${seed} bash tools/test.sh ${path} -t '${pattern}'`;
}

const ROOT = resolve(import.meta.dirname, "../..");

beforeEach(({ task, onTestFailed }) => {
  onTestFailed(() => void process.stdout.write(`replay: ${replayOf(relative(ROOT, task.file.filepath), task)}\n`));
});

/** How often something is tried: `part` times in `npm test`, `whole` times in the whole matrix. */
export function rounds(counts: { readonly part: number; readonly whole: number }): number {
  return full ? counts.whole : counts.part;
}

export interface Random {
  /** From 0 up to, but without, 1. */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number;
  pick<T>(from: readonly T[]): T;
}

/** The same numbers for the same seed and name: each phase draws from a row of its own, so that one can be repeated without the others. */
export function randomOf(name: string, from: number = seed): Random {
  let state = from >>> 0;
  for (const character of name) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (min, max) => min + Math.floor(next() * (max - min + 1)),
    pick: (from) => from[Math.floor(next() * from.length)] as (typeof from)[number],
  };
}
