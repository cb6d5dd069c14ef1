import type { Daemon, DaemonSpec, DaemonSupervisor } from "../contracts/daemon.ts";
import type { Clock } from "../core/clock.ts";
import type { InstanceConfig } from "../core/config.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { boundLog } from "../host/bounded-log.ts";
import { removeDaemonCgroup, removeEmptyDaemonCgroups } from "./daemon-cgroup.ts";
import type { MarkedProcess } from "./proc.ts";
import { isAlive } from "../host/process.ts";
import { removeDrafts } from "../host/files.ts";
import { DaemonRecords, recordsFolder } from "./records.ts";
import { endProcess, SupervisedDaemon } from "./supervised.ts";
import type { Surroundings } from "./supervised.ts";

export interface DaemonSupervisorOptions {
  readonly config: Pick<InstanceConfig, "instanceId" | "runDir">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often the daemons' logs are looked at: none grows by much in a minute. */
const LOOK_AT_LOGS_MS = 60_000;

/**
 * The instance's daemons. Finds at once what an earlier run left running, recorded or not; `list` shows these with `restarts: 0` until
 * `ensure` adopts, or `stop` ends them. The death of a child is an event; that of an adopted daemon is noticed within a second.
 */
export async function createDaemonSupervisor(options: DaemonSupervisorOptions): Promise<DaemonSupervisor> {
  await removeDrafts(recordsFolder(options.config.runDir));
  const records = new DaemonRecords(options.config.runDir, options.config.instanceId);
  const logger = options.logger.child({ room: "daemons" });
  return new Supervisor({ instanceId: options.config.instanceId, records, clock: options.clock, logger });
}

class Supervisor implements DaemonSupervisor {
  readonly #around: Surroundings;
  readonly #daemons = new Map<string, SupervisedDaemon>();
  /** Left by an earlier run and not asked for yet. */
  #leftBehind: readonly MarkedProcess[];
  #logs: Disposable | undefined;
  /** One change at a time for each name. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(around: Surroundings) {
    this.#around = around;
    this.#leftBehind = around.records.findRunning();
  }

  async ensure(spec: DaemonSpec): Promise<Daemon> {
    if (!/^[a-z0-9][a-z0-9._-]*$/i.test(spec.name)) {
      throw new Problem("invalid", `daemon name ${JSON.stringify(spec.name)} may hold only letters, digits, ".", "_" and "-"`);
    }
    return await this.#inTurn(spec.name, () => this.#ensure(spec));
  }

  stop(name: string): Promise<void> {
    return this.#inTurn(name, async () => {
      await this.#daemons.get(name)?.stop();
      this.#daemons.delete(name);
      for (const found of this.#takeLeftBehind(name)) await endProcess(found, undefined, this.#around.clock);
      this.#around.records.remove(name);
      await removeDaemonCgroup(this.#around.instanceId, name, this.#around.clock);
    });
  }

  list(): ReturnType<DaemonSupervisor["list"]> {
    const known = [...this.#daemons.values()].map((daemon) => ({
      name: daemon.name,
      pid: daemon.pid(),
      restarts: daemon.restarts,
      ...(daemon.lastExit === undefined ? {} : { lastExit: daemon.lastExit }),
    }));
    const left = this.#leftBehind.filter(isAlive).map((found) => ({ name: found.daemon, pid: found.pid, restarts: 0 }));
    return [...known, ...left];
  }

  release(): void {
    this.#logs?.[Symbol.dispose]();
    this.#logs = undefined;
    for (const daemon of this.#daemons.values()) daemon.release();
    this.#daemons.clear();
  }

  async stopAll(): Promise<void> {
    // Looks anew: what another process of this instance started meanwhile ends too.
    this.#leftBehind = this.#around.records.findRunning().filter((found) => !this.#daemons.has(found.daemon));
    const names = new Set([...this.#daemons.keys(), ...this.#leftBehind.map((found) => found.daemon)]);
    await Promise.all([...names].map((name) => this.stop(name)));
    await removeEmptyDaemonCgroups(this.#around.instanceId, this.#around.clock);
  }

  async #ensure(spec: DaemonSpec): Promise<Daemon> {
    const known = this.#daemons.get(spec.name);
    if (known?.takes(spec)) {
      await known.waitServing();
      return this.#handle(known);
    }
    await known?.stop();
    const daemon = new SupervisedDaemon(spec, this.#around);
    this.#daemons.delete(spec.name);
    await daemon.begin(this.#takeLeftBehind(spec.name));
    this.#daemons.set(spec.name, daemon);
    this.#logs ??= this.#scheduleLogs();
    return this.#handle(daemon);
  }

  #scheduleLogs(): Disposable {
    return this.#around.clock.setTimer(LOOK_AT_LOGS_MS, () => {
      void this.#boundLogs();
      this.#logs = this.#daemons.size > 0 ? this.#scheduleLogs() : undefined;
    });
  }

  /** What an adopted daemon writes goes on into the same file: it is cut beneath it. */
  async #boundLogs(): Promise<void> {
    for (const { name, logFile } of this.#daemons.values()) {
      try {
        if (await boundLog(logFile))
          this.#around.logger.info("a daemon's log was cut; what it was is beside it, as .1", { daemon: name, path: logFile });
      } catch (error) {
        this.#around.logger.warn("a daemon's log cannot be cut", { daemon: name, path: logFile, err: messageOf(error) });
      }
    }
  }

  #takeLeftBehind(name: string): readonly MarkedProcess[] {
    const taken = this.#leftBehind.filter((found) => found.daemon === name && isAlive(found));
    this.#leftBehind = this.#leftBehind.filter((found) => found.daemon !== name);
    return taken;
  }

  #handle(daemon: SupervisedDaemon): Daemon {
    return {
      name: daemon.name,
      pid: () => daemon.pid(),
      signal: (signal) => daemon.signal(signal),
      stop: () => this.stop(daemon.name),
    };
  }

  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work, work);
    this.#turns.set(name, turn);
    return turn;
  }
}
