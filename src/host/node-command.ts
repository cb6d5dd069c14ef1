import { fileURLToPath } from "node:url";

const COMPILE_CACHE = fileURLToPath(new URL("compile-cache.ts", import.meta.url));

/** The command that runs a TypeScript program of Tidegate on the Node that runs this one. */
export function nodeCommand(program: string, args: readonly string[], nodeFlags: readonly string[] = []): readonly [string, ...string[]] {
  return [process.execPath, "--disable-warning=ExperimentalWarning", ...nodeFlags, "--import", COMPILE_CACHE, program, ...args];
}
