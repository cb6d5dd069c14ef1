/** Why an instance that systemd starts does not come up, from what it said in the journal. */
import { run } from "../host/run.ts";
import { GIVING_UP } from "./start-server.ts";
import type { Unit } from "./systemd.ts";

/** systemd tries again every 3 s, and some of what is in the way goes by itself; what was said twice in a row does not. */
const SAID_ENOUGH = 2;
const MOST_LINES = 12;

/** Its own output since a second of the wall clock, oldest first; nothing where the journal cannot be read. */
export async function journalSince(unit: Unit, sinceSeconds: number): Promise<string> {
  const command = ["journalctl", "--quiet", "--no-pager", "--output=cat", `--since=@${sinceSeconds}`];
  const own = [`_SYSTEMD_UNIT=${unit.name}`, "_TRANSPORT=stdout"];
  return (await run([...command, ...own]).catch(() => ({ stdout: "" }))).stdout;
}

/** Whether systemd has given the unit up, as it does after wrong flags. */
export async function hasFailed(unit: Unit): Promise<boolean> {
  const { stdout } = await run(["systemctl", "show", "--property=ActiveState", "--value", unit.name]);
  return stdout.trim() === "failed";
}

/** The last words of each try, oldest first; lines of the log, which are JSON, are none. */
export function readRefusals(journal: string): readonly string[] {
  const refusals: string[][] = [];
  let current: string[] | undefined;
  for (const line of journal.trimEnd().split("\n")) {
    if (line.startsWith(GIVING_UP)) refusals.push((current = [line]));
    else if (line.startsWith("{")) current = undefined;
    else if (current !== undefined && current.length < MOST_LINES) current.push(line);
  }
  return refusals.map((lines) => lines.join("\n"));
}

/** The refusal that no further try will change; `undefined` while one may. */
export function finalRefusal(refusals: readonly string[], failed: boolean): string | undefined {
  const last = refusals.at(-1);
  return failed || last === refusals.at(-SAID_ENOUGH) ? last : undefined;
}
