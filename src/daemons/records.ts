import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "../host/files.ts";
import { isAlive } from "../host/process.ts";
import { findMarkedProcesses } from "./proc.ts";
import type { MarkedProcess } from "./proc.ts";

export function recordsFolder(runDir: string): string {
  return join(runDir, "daemons");
}

/** What is kept of each daemon in `<runDir>/daemons/<name>.json`, written as soon as it has a pid. */
export class DaemonRecords {
  readonly #folder: string;
  readonly #instanceId: string;

  constructor(runDir: string, instanceId: string) {
    this.#folder = recordsFolder(runDir);
    this.#instanceId = instanceId;
  }

  async write(record: MarkedProcess): Promise<void> {
    await writeFileAtomically(this.#file(record.daemon), JSON.stringify(record) + "\n");
  }

  remove(daemon: string): void {
    rmSync(this.#file(daemon), { force: true });
  }

  /**
   * Every daemon of the instance that runs now: those recorded, and those found by the marks in their environment because Tidegate was
   * killed before it could record them. Records of what is gone are removed.
   */
  findRunning(): readonly MarkedProcess[] {
    const running = new Map<number, MarkedProcess>();
    for (const record of this.#readAll()) {
      if (isAlive(record)) running.set(record.pid, record);
      else this.remove(record.daemon);
    }
    for (const found of findMarkedProcesses(this.#instanceId)) running.set(found.pid, found);
    return [...running.values()];
  }

  #readAll(): readonly MarkedProcess[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => name.endsWith(".json"))
        .flatMap((name) => readRecord(join(this.#folder, name)) ?? []);
    } catch {
      return [];
    }
  }

  #file(daemon: string): string {
    return join(this.#folder, `${daemon}.json`);
  }
}

function readRecord(path: string): MarkedProcess | undefined {
  try {
    const value = JSON.parse(readFileSync(path, "utf8")) as Partial<MarkedProcess>;
    if (typeof value.pid !== "number" || value.startTime === undefined || value.daemon === undefined) return undefined;
    return { pid: value.pid, startTime: value.startTime, daemon: value.daemon, commandHash: value.commandHash ?? "" };
  } catch {
    return undefined;
  }
}
