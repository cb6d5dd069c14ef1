import { join } from "node:path";
import { readTextIfAny } from "../../../src/host/files.ts";
import type { Check } from "./cuts.ts";

/** Each file is the one that was acknowledged last, or a later one, whole. */
export const checkFiles: Check = async (folder, ledger) => {
  const problems = await Promise.all(ledger.keys().map(async (path) => ledger.judge(path, (await readTextIfAny(join(folder, path))) ?? null)));
  return problems.filter((problem) => problem !== undefined);
};
