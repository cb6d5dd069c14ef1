import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import type { LogWriters } from "../../contracts/log-store.ts";

/**
 * Writes a log as containerd does: appends to the file that it has open, whatever that is called by now; sent on, it opens the path anew,
 * and may still have lines for the old file, which it then closes.
 */
export class LogWriter implements LogWriters {
  readonly #path: string;
  #file: number;
  #late: { readonly file: number; lines: string[] } | undefined;
  #nanos = 0;

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a");
  }

  /** A line as CRI has it; times grow. */
  line(text: string, { tag = "F", stream = "stdout" }: { readonly tag?: "F" | "P"; readonly stream?: "stdout" | "stderr" } = {}): string {
    return `2026-01-01T00:00:01.${String(this.#nanos++).padStart(9, "0")}Z ${stream} ${tag} ${text}\n`;
  }

  write(bytes: string): void {
    if (this.#late?.file === this.#file) this.#endLate();
    writeSync(this.#file, bytes);
  }

  /** What is to be written into the old file after the next reopening, before any other line. */
  holdBack(lines: readonly string[]): void {
    this.#endLate();
    this.#late = { file: this.#file, lines: [...lines] };
  }

  async reopen(): Promise<void> {
    const old = this.#file;
    this.#file = openSync(this.#path, "a");
    if (this.#late?.file === old) return;
    this.#endLate();
    closeSync(old);
  }

  /** Being asked, it goes on with what it holds back: a line at a time. */
  async holds({ inode }: { readonly inode: number }): Promise<boolean> {
    const late = this.#late;
    if (late === undefined || fstatSync(late.file).ino !== inode) return fstatSync(this.#file).ino === inode;
    const [next] = late.lines.splice(0, 1);
    if (next !== undefined) writeSync(late.file, next);
    else this.#endLate();
    return true;
  }

  close(): void {
    this.#endLate();
    closeSync(this.#file);
    this.#file = openSync("/dev/null", "r");
  }

  #endLate(): void {
    const late = this.#late;
    if (late === undefined) return;
    for (const line of late.lines) writeSync(late.file, line);
    if (late.file !== this.#file) closeSync(late.file);
    this.#late = undefined;
  }
}
