import type { Session } from "./session.ts";

/** One command line command, as data: `main.ts` hands it to the parser. */
export interface Command<Options = unknown> {
  /** With its arguments in commander's form: `deploy <folder>`. */
  readonly usage: string;
  readonly summary: string;
  /** `[flags, text]` in commander's form, e.g. `["--count <n>", "how many tasks"]`; `<x...>` may be given several times, a value each. */
  readonly options: readonly (readonly [flags: string, text: string])[];
  run(call: Call<Options>): Promise<ExitCode | void>;
}

export interface Call<Options> {
  readonly arguments: readonly (string | undefined)[];
  readonly options: Options;
  readonly session: Session;
}

/** Stable: 0 well, 1 failed, 2 wrong usage, 3 not running, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 3 | 130;

/** Wrong words on the command line: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A failure that is fully explained by its message: exit code 1 unless said. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}
