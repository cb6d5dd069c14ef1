import { join } from "node:path";
import { readTextIfAny, writeFileAtomically } from "./files.ts";
import type { ProcessIdentity } from "./process.ts";

/** What a process that serves an instance gets when its successor is asked for, in `<runDir>/succession.json`. */
export const SUCCESSION_SIGNAL = "SIGUSR2";

/** What is asked for, and what became of it. */
export interface Succession {
  /** The successor's command. */
  readonly command: readonly string[];
  /** Where its output goes. */
  readonly logPath: string;
  /** Once it runs. */
  readonly successor?: ProcessIdentity;
  /** Why there is none; the process before goes on. */
  readonly failed?: string;
}

export async function readSuccession(runDir: string): Promise<Succession | undefined> {
  const text = await readTextIfAny(pathOf(runDir));
  return text === undefined ? undefined : (JSON.parse(text) as Succession);
}

export async function writeSuccession(runDir: string, succession: Succession): Promise<void> {
  await writeFileAtomically(pathOf(runDir), JSON.stringify(succession), { mode: 0o600 });
}

function pathOf(runDir: string): string {
  return join(runDir, "succession.json");
}
