import type { KeptInstance } from "../core/config.ts";
import { Problem } from "../core/problem.ts";

type Kept = Readonly<Record<string, unknown>>;

/** Step n takes format n to n + 1. Steps are only ever added; a file that does not say its format has the first. */
const STEPS: readonly ((kept: Kept) => Kept)[] = [
  // Instances made before the engine was kept ran containers.
  (kept) => ({ engine: "cri", tidegateVersion: "unknown", ...kept }),
];

export const INSTANCE_FORMAT = STEPS.length + 1;

/** Reads `instance.json`, whatever Tidegate wrote it. @throws Problem `unsupported` for one of a newer Tidegate, `invalid` for what is no such file. */
export function readInstanceFile(text: string, path: string): KeptInstance {
  let kept: Kept;
  try {
    kept = JSON.parse(text) as Kept;
  } catch (cause) {
    throw new Problem("invalid", `${path} is damaged: put it back from a backup`, { cause });
  }
  const format = typeof kept["format"] === "number" ? kept["format"] : 1;
  if (format > INSTANCE_FORMAT) {
    throw new Problem(
      "unsupported",
      `${path} has format ${format}; this Tidegate knows formats up to ${INSTANCE_FORMAT}. ` +
        `A newer Tidegate (${String(kept["tidegateVersion"])}) wrote it: start that one again (see docs/operations.md, "Restart, upgrade, downgrade").`,
    );
  }
  for (const step of STEPS.slice(format - 1)) kept = step(kept);
  return { ...kept, format: INSTANCE_FORMAT } as unknown as KeptInstance;
}
