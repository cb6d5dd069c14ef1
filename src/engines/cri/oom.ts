import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { oomKillCount } from "./cgroup.ts";

/**
 * Who was killed for memory. CRI's word is not enough: on cgroup v1 it blames every container of a task whose limit was hit. The truth is
 * the `oom_kill` counter of the container's own cgroup, which is gone soon after the exit: so it is read at the kernel's notice and at the
 * exit, and kept in a small file. Only for exits that nobody saw (Tidegate was dead) CRI's word decides, together with exit code 137.
 */
export class OomVerdicts {
  readonly #folder: string;
  readonly #cgroupRoot: string | undefined;
  readonly #verdicts = new Map<string, boolean>();

  /** @param cgroupRoot for tests; default the host's */
  constructor(folder: string, cgroupRoot?: string) {
    this.#folder = folder;
    this.#cgroupRoot = cgroupRoot;
    mkdirSync(folder, { recursive: true });
    for (const id of readdirSync(folder)) {
      const text = readFileSync(join(folder, id), "utf8");
      // Empty: the process that wrote it was killed in the middle, and nothing is known.
      if (text !== "") this.#verdicts.set(id, text === "1");
    }
  }

  /** At containerd's TaskOOM, which innocent siblings get too, and which may come just before the kill: only a count above 0 tells. */
  atNotice(containerId: string, cgroup: string): void {
    if ((oomKillCount(cgroup, this.#cgroupRoot) ?? 0) > 0) this.#keep(containerId, true);
  }

  /** At the exit: final, if the cgroup is still there. */
  atExit(containerId: string, cgroup: string): void {
    if (this.#verdicts.has(containerId)) return;
    const count = oomKillCount(cgroup, this.#cgroupRoot);
    if (count !== undefined) this.#keep(containerId, count > 0);
  }

  /** `undefined`: nobody saw it end. */
  of(containerId: string): boolean | undefined {
    return this.#verdicts.get(containerId);
  }

  forget(containerId: string): void {
    this.#verdicts.delete(containerId);
    rmSync(join(this.#folder, containerId), { force: true });
  }

  /** Forgets all but these: the containers of the rest are gone. */
  retain(containerIds: ReadonlySet<string>): void {
    for (const id of this.#verdicts.keys()) if (!containerIds.has(id)) this.forget(id);
  }

  #keep(containerId: string, killed: boolean): void {
    this.#verdicts.set(containerId, killed);
    try {
      writeFileSync(join(this.#folder, containerId), killed ? "1" : "0");
    } catch {
      // Where there is no room it is known as long as this process lives; containerd's events must not end that.
    }
  }
}
