/** Reads what `strace -f -xx -v` wrote: one entry a system call, in the order in which they ended. */

export interface Call {
  /** The kernel's id of the thread that made it. */
  readonly thread: number;
  readonly name: string;
  /** Its arguments, as strace prints them; strings are decoded by `bytesOf`. */
  readonly args: readonly string[];
  /** `undefined` for a call that never came back, because its process was killed in it. */
  readonly result: number | undefined;
  /** How many calls had ended when this one began. */
  readonly beganAfter: number;
}

interface Begun {
  readonly text: string;
  readonly beganAfter: number;
}

/** The calls that succeeded, and those that a kill cut off; of all threads and child processes. */
export function parseTrace(text: string): readonly Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Begun>();
  for (const line of text.split("\n")) {
    // Signals and ends (`---`, `+++`) are no calls.
    const match = /^(\d+) +(\w.*|<.*)$/.exec(line);
    if (match === null) continue;
    const [, thread = "", rest = ""] = match;
    if (rest.endsWith("<unfinished ...>")) {
      open.set(thread, { text: rest.slice(0, -"<unfinished ...>".length), beganAfter: calls.length });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest);
    const begun = resumed === null ? { text: "", beganAfter: calls.length } : open.get(thread);
    if (begun === undefined) throw new Error(`a call is resumed that never began: ${line.slice(0, 200)}`);
    open.delete(thread);
    const call = parseCall(begun.text + rest.slice(resumed?.[0].length ?? 0), Number(thread), begun.beganAfter);
    if (call !== undefined && (call.result === undefined || call.result >= 0)) calls.push(call);
  }
  for (const [thread, { text: cut, beganAfter }] of open) {
    const call = parseCall(`${cut}) = ?`, Number(thread), beganAfter);
    if (call !== undefined) calls.push(call);
  }
  return calls;
}

function parseCall(text: string, thread: number, beganAfter: number): Call | undefined {
  const name = /^(\w+)\(/.exec(text)?.[1];
  const end = text.lastIndexOf(") ");
  const result = /^\) += (-?\d+|\?)/.exec(text.slice(end))?.[1];
  if (name === undefined || end < 0 || result === undefined) return undefined;
  const args = splitArguments(text.slice(name.length + 1, end));
  return { thread, name, args, result: result === "?" ? undefined : Number(result), beganAfter };
}

/** The threads of the program itself: its children have descriptors of their own. */
export function threadsOf(calls: readonly Call[]): ReadonlySet<number> {
  const threads = new Set(calls.slice(0, 1).map((call) => call.thread));
  for (const { thread, name, args, result } of calls) {
    if (name.startsWith("clone") && threads.has(thread) && args.join().includes("CLONE_THREAD") && result !== undefined) threads.add(result);
  }
  return threads;
}

/** At the commas that are in no bracket and in no string. */
function splitArguments(text: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    // All of a string is in hexadecimal: no quote is in it.
    if (character === '"') at = text.indexOf('"', at + 1);
    else if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    else if (character === "," && depth === 0) {
      found.push(text.slice(start, at).trim());
      start = at + 1;
    }
  }
  found.push(text.slice(start).trim());
  return found;
}

/** The bytes of a string, or of all the strings of a vector. */
export function bytesOf(argument: string): Buffer {
  const strings = [...argument.matchAll(/"([^"]*)"(\.\.\.)?/g)];
  if (strings.some((match) => match[2] !== undefined)) throw new Error("strace cut a string short");
  return Buffer.from(strings.map((match) => (match[1] ?? "").replaceAll(String.raw`\x`, "")).join(""), "hex");
}
