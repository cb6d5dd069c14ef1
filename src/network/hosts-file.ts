/** The marked block in the host's /etc/hosts. */
import { chmod, chown, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { exclusively } from "../host/exclusively.ts";
import { replaceFile } from "../host/files.ts";
import { Serial } from "./shell.ts";

export interface HostName {
  readonly name: string;
  readonly addresses: readonly string[];
}

/**
 * The file's text with the instance's block replaced, or removed when there are no names. What is outside the block stays as it is, byte
 * for byte: after the block is removed the text is as before it was added.
 */
export function withHostsBlock(text: string, instanceId: string, names: readonly HostName[]): string {
  const { before, after } = cutBlock(text, instanceId);
  const block = names.flatMap(({ name, addresses }) => addresses.map((address) => `${address} ${name}`));
  const open = before !== "" && !before.endsWith("\n");
  // A line without an end stays so only where nobody has written behind the block since.
  if (block.length === 0) return open && after !== "" ? `${before}\n${after}` : before + after;
  const lines = [`# tidegate ${instanceId} begin${open ? OPEN_LINE : ""}`, ...block, `# tidegate ${instanceId} end`];
  return `${before}${open ? "\n" : ""}${lines.map((line) => `${line}\n`).join("")}${after}`;
}

/** Says that the line before the block had no end, which must be taken away with the block. */
const OPEN_LINE = ", after an open line";

function cutBlock(text: string, instanceId: string): { readonly before: string; readonly after: string } {
  const match = new RegExp(`^# tidegate ${instanceId} begin(${OPEN_LINE})?\n[^]*?^# tidegate ${instanceId} end\n?`, "m").exec(text);
  if (match === null) return { before: text, after: "" };
  const before = text.slice(0, match.index);
  return { before: match[1] === undefined ? before : before.slice(0, -1), after: text.slice(match.index + match[0].length) };
}

export class HostsFile {
  readonly #path: string;
  readonly #instanceId: string;
  readonly #turn = new Serial();

  constructor(path: string, instanceId: string) {
    this.#path = path;
    this.#instanceId = instanceId;
  }

  /** Makes the block say `names`; none removes it. Does not touch a file that says so already. */
  write(names: readonly HostName[]): Promise<void> {
    return this.#turn.run(async () => {
      // Of a write that was killed.
      await rm(this.#temporary, { force: true });
      if ((await this.#next(names)) === undefined) return;
      // Other instances have blocks of their own there. The folder is locked: the file itself is replaced.
      await exclusively(dirname(this.#path), async () => {
        const next = await this.#next(names);
        if (next !== undefined) await this.#replace(next);
      });
    });
  }

  get #temporary(): string {
    return `${this.#path}.tidegate-${this.#instanceId}`;
  }

  /** The file's text with these names; `undefined` where it says so already. */
  async #next(names: readonly HostName[]): Promise<string | undefined> {
    const text = await readFile(this.#path, "utf8");
    const next = withHostsBlock(text, this.#instanceId, names);
    return next === text ? undefined : next;
  }

  async #replace(text: string): Promise<void> {
    const { mode, uid, gid } = await stat(this.#path);
    const temporary = this.#temporary;
    try {
      // On disk before it takes the host's file's place: a power cut must not leave the host an empty one.
      await writeFile(temporary, text, { mode: mode & 0o777, flush: true });
      await chmod(temporary, mode & 0o777);
      await chown(temporary, uid, gid);
      await replaceFile(temporary, this.#path);
    } catch (error) {
      await rm(temporary, { force: true });
      // A file that is mounted by itself, as in a container, cannot be replaced.
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      await overwrite(this.#path, text);
    }
  }
}

/** In place. At no moment is less of the text there than before or after: a kill in between leaves empty lines at the end, at most. */
async function overwrite(path: string, text: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    const bytes = Buffer.from(text);
    const { size } = await file.stat();
    const padded = Buffer.concat([bytes, Buffer.alloc(Math.max(0, size - bytes.length), "\n")]);
    for (let at = 0; at < padded.length;) at += (await file.write(padded, at, padded.length - at, at)).bytesWritten;
    await file.truncate(bytes.length);
    await file.sync();
  } finally {
    await file.close();
  }
}
