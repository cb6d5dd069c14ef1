import { join } from "node:path";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";

/** Keeps the flags of this start, without `--data-dir`, for `tidegate restart`, in `<dataDir>/last-start.json`. */
export async function keepFlags(dataDir: string, args: readonly string[]): Promise<void> {
  const at = args.indexOf("--data-dir");
  const flags = at < 0 ? args : args.toSpliced(at, 2);
  const path = join(dataDir, "last-start.json");
  const text = `${JSON.stringify({ flags }, null, 2)}\n`;
  // A start with a full disk writes nothing that is there already.
  if ((await readTextIfAny(path)) !== text) await writeFileAtomically(path, text);
}
