import { fileURLToPath } from "node:url";
import type { Background } from "./machine.ts";
import { until } from "./instance.ts";

export interface AskReport {
  readonly answered: number;
  /** How often which answer came. */
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly atMs: number; readonly kept: boolean; readonly error: string }[];
  /** Log groups whose making was acknowledged. */
  readonly written: readonly string[];
  readonly slowestMs: number;
}

/** Where `ask.ts` is, with its arguments: to be run in the background of a machine. */
export function askCommand(mode: "url" | "api", target: string): readonly string[] {
  return ["node", fileURLToPath(new URL("ask.ts", import.meta.url)), mode, target];
}

/** Resolves once it asks. */
export async function asks(background: Background): Promise<void> {
  await until("the clients ask", async () => background.output().includes("asking"));
}

/** Ends it and answers its report. @throws with what it printed when there is none. */
export async function reportOf(background: Background): Promise<AskReport> {
  await background[Symbol.asyncDispose]();
  const line = background
    .output()
    .split("\n")
    .find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`no report: ${background.output().slice(-1000)}`);
  return JSON.parse(line) as AskReport;
}
