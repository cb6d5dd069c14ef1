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
  readonly #verdicts = new Map<string, boolean>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const id of readdirSync(folder)) this.#verdicts.set(id, readFileSync(join(folder, id), "utf8").startsWith("1"));
  }

  /** At containerd's TaskOOM, which innocent siblings get too, and which may come just before the kill: only a count above 0 tells. */
  atNotice(containerId: string, cgroup: string): void {
    if ((oomKillCount(cgroup) ?? 0) > 0) this.#keep(containerId, true);
  }

  /** At the exit: final, if the cgroup is still there. */
  atExit(containerId: string, cgroup: string): void {
    if (this.#verdicts.has(containerId)) return;
    const count = oomKillCount(cgroup);
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
    writeFileSync(join(this.#folder, containerId), killed ? "1" : "0");
  }
}
