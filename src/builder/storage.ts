import { readFile, rm } from "node:fs/promises";
import { run } from "../host/run.ts";

/** Removes the builders' own storage. A build that was killed leaves mounts in it, which go first. Nothing is there: nothing is done. */
export async function removeBuilderState(stateFolder: string): Promise<void> {
  for (const path of mountsBelow(stateFolder, await readFile("/proc/self/mountinfo", "utf8"))) await run(["umount", "--lazy", path]);
  await rm(stateFolder, { recursive: true, force: true });
}

/** Mount points in and below a folder, the innermost first. Pure. */
export function mountsBelow(folder: string, mountInfo: string): readonly string[] {
  const paths = mountInfo.split("\n").map((line) => unescapeOctal(line.split(" ")[4] ?? ""));
  return paths.filter((path) => path === folder || path.startsWith(`${folder}/`)).toReversed();
}

/** The kernel writes space, tab, newline and backslash as `\\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
