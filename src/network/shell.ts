/** Running `ip`, `nft` and the like in a network namespace. */
import { messageOf } from "../core/problem.ts";
import type { RunOptions, RunResult } from "../host/run.ts";
import { run } from "../host/run.ts";

/** A network namespace to run programs in; without a path, this process's own: the host. */
export class Shell {
  readonly netnsPath: string | undefined;

  constructor(netnsPath?: string) {
    this.netnsPath = netnsPath;
  }

  run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(this.netnsPath === undefined ? command : ["nsenter", `--net=${this.netnsPath}`, "--", ...command], options);
  }

  /** Runs the lines in order and stops at the first that fails. */
  async ipBatch(batch: string): Promise<void> {
    if (batch !== "") await this.run(["ip", "-batch", "-"], { stdin: batch });
  }

  /** One transaction: all of it or nothing. */
  async nft(text: string): Promise<void> {
    if (text !== "") await this.run(["nft", "-f", "-"], { stdin: text });
  }

  async ipJson<T extends object>(...args: readonly string[]): Promise<readonly T[]> {
    return readIpJson(await this.run(["ip", "-j", ...args])) as readonly T[];
  }

  /** Values of kernel settings, by path under /proc/sys/net; `undefined` for those that are not there. */
  async readSysctls(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (paths.length === 0) return new Map();
    const script = 'while read -r p; do v=$(cat "/proc/sys/net/$p" 2>/dev/null) && echo "$p $v"; done; true';
    const { stdout } = await this.run(["sh", "-c", script], { stdin: `${paths.join("\n")}\n` });
    return new Map(stdout.split("\n").flatMap((line) => (line === "" ? [] : [splitAtSpace(line)])));
  }

  /** Sets those that are there. */
  async writeSysctls(values: Readonly<Record<string, string>>): Promise<void> {
    const entries = Object.entries(values);
    if (entries.length === 0) return;
    const script = 'while read -r p v; do [ ! -e "/proc/sys/net/$p" ] || echo "$v" > "/proc/sys/net/$p" || exit 1; done';
    await this.run(["sh", "-c", script], { stdin: entries.map(([path, value]) => `${path} ${value}\n`).join("") });
  }
}

/**
 * What `ip -j` has listed. Asked for the links of a kind whose module is not loaded yet (`veth`, on a host that was just booted), the kernel
 * answers with all links, and `ip` prints an empty object for each that it leaves out.
 */
export function readIpJson({ stdout }: Pick<RunResult, "stdout">): readonly object[] {
  const items = stdout.trim() === "" ? [] : (JSON.parse(stdout) as readonly object[]);
  return items.filter((item) => Object.keys(item).length > 0);
}

function splitAtSpace(line: string): [string, string] {
  const at = line.indexOf(" ");
  return [line.slice(0, at), line.slice(at + 1)];
}

/** True when a program failed because what it should act on is not there. */
export function isMissing(error: unknown): boolean {
  return /No such (file|device|process)|Cannot find device|does not exist|not found/i.test(messageOf(error));
}

interface Waiting {
  readonly text: () => string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Changes of one namespace, one run of a program at a time. What is asked for while one runs goes into the next together: starting a program
 * costs more than what it does. Texts are made at their turn, so that they show the records of that moment. A run that fails is repeated text by
 * text, so what is done of it already has to be repeatable.
 */
export class BatchQueue {
  readonly #run: (text: string) => Promise<void>;
  #waiting: Waiting[] = [];
  #running = false;

  /** `run` takes several texts as one. */
  constructor(run: (text: string) => Promise<void>) {
    this.#run = run;
  }

  apply(text: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length === 0) continue;
      try {
        await this.#run(batch.map(({ made }) => made).join(""));
        for (const item of batch) item.resolve();
      } catch (error) {
        if (batch.length === 1) batch[0]?.reject(error);
        // So that one's failure is not the others'.
        else for (const item of batch) await this.#run(item.made).then(item.resolve, item.reject);
      }
    }
    this.#running = false;
  }

  /** What waits, with its texts. One that cannot be made, of a VPC that is gone meanwhile, fails alone. */
  #takeBatch(): readonly (Waiting & { readonly made: string })[] {
    const batch = this.#waiting;
    this.#waiting = [];
    return batch.flatMap((item) => {
      try {
        return [{ ...item, made: item.text() }];
      } catch (error) {
        item.reject(error);
        return [];
      }
    });
  }
}

/** Runs what it is given one after another. */
export class Serial {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#tail.then(work, work);
    this.#tail = next.catch(() => {});
    return next;
  }
}
