import { join, normalize } from "node:path";
import { Problem } from "../core/problem.ts";

/** The path of `path` in `folder`, by its words alone. @throws Problem `invalid` when they lead out of it. */
export function inside(folder: string, path: string, what: string): string {
  const target = normalize(join(folder, path));
  if (target !== folder && !target.startsWith(`${folder}/`)) throw new Problem("invalid", `${what} leads out of the volume`);
  return target;
}
