import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Daemon, DaemonSupervisor } from "../../contracts/daemon.ts";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { readTextIfAny, removeDrafts, replaceFile, writeFileAtomically } from "../../host/files.ts";
import { run } from "../../host/run.ts";
import { watchHealthEvents } from "./health-events.ts";
import { createMasterClient, createRuntimeClient, workerThroughMaster, type RuntimeClient } from "./runtime-client.ts";
import { parseProcesses, parseServerStats, type ServerStats } from "./stats.ts";

const HAPROXY = "/usr/sbin/haproxy";
const RELOAD_TIMEOUT_MS = 15_000;
const RELOAD_LOOK_MS = 20;

export interface ProxyPlaces {
  /** `haproxy-<vpc>`. */
  readonly daemonName: string;
  /** Holds haproxy.cfg, server-state and haproxy.log. */
  readonly folder: string;
  readonly socketPath: string;
  readonly masterSocket: string;
}

export interface ProxyProcessOptions {
  readonly places: ProxyPlaces;
  readonly supervisor: DaemonSupervisor;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The VPC's namespace. */
  netnsPath(): Promise<string>;
  /** Something about a server's health, or the process, has changed. */
  onChange(): void;
}

/** A worker that serves, and what its servers do. */
export interface Worker {
  readonly pid: number;
  readonly client: RuntimeClient;
  readonly servers: readonly ServerStats[];
}

/** One VPC's HAProxy: its files, its master and its workers. */
export class ProxyProcess {
  readonly #options: ProxyProcessOptions;
  readonly #client: RuntimeClient;
  #daemon: Daemon | undefined;
  #events: Disposable | undefined;
  readonly #written = new Map<string, string>();

  constructor(options: ProxyProcessOptions) {
    this.#options = options;
    this.#client = createRuntimeClient(options.places.socketPath, options.clock);
  }

  /** Server states of the worker that takes new connections; `undefined` when there is none. */
  async current(): Promise<Worker | undefined> {
    const csv = await this.#client.command("show stat -1 4 -1").catch(() => undefined);
    return csv === undefined ? undefined : { pid: 0, client: this.#client, servers: parseServerStats(csv) };
  }

  /** Workers that a reload replaced and that still finish connections. */
  async leaving(): Promise<readonly Worker[]> {
    const { clock, places } = this.#options;
    const processes = parseProcesses(await createMasterClient(places.masterSocket, clock).command("show proc"));
    const workers: Worker[] = [];
    for (const { pid } of processes.filter(({ old }) => old)) {
      const client = workerThroughMaster(places.masterSocket, pid, clock);
      // It may end between the two questions.
      const csv = await client.command("show stat -1 4 -1").catch(() => "");
      workers.push({ pid, client, servers: parseServerStats(csv) });
    }
    return workers;
  }

  /**
   * Makes HAProxy run this configuration: starts or adopts it, and reloads it, without losing a connection, when `structure` is not what it
   * runs. The files are in place before, so that a crash at any point comes back with them.
   * @throws Problem `invalid` when HAProxy refuses the configuration, `unavailable` when it does not start.
   */
  async apply(config: { readonly text: string; readonly structure: string; readonly state: string }): Promise<void> {
    const { places, supervisor } = this.#options;
    await mkdir(places.folder, { recursive: true });
    if (this.#daemon === undefined) await removeDrafts(places.folder);
    await this.writeState(config.state);
    const running = this.#daemon === undefined ? undefined : await this.#runningStructure();
    await this.#writeConfig(config.text, { check: running !== config.structure });
    this.#daemon ??= await supervisor.ensure({
      name: places.daemonName,
      command: [HAPROXY, "-W", "-S", `${places.masterSocket},mode,600`, "-f", join(places.folder, "haproxy.cfg")],
      netnsPath: await this.#options.netnsPath(),
      logFile: join(places.folder, "haproxy.log"),
      ready: async () => (await this.#runningStructure()) !== undefined,
      readyTimeoutMs: 10_000,
      onRestart: async () => this.#options.onChange(),
    });
    if ((await this.#runningStructure()) !== config.structure) await this.#reload(config.structure);
    this.#events ??= this.#watch();
  }

  /** Writes what servers start with after a crash. */
  async writeState(state: string): Promise<void> {
    await this.#writeIfChanged(join(this.#options.places.folder, "server-state"), state);
  }

  /** Ends HAProxy and removes its files. */
  async remove(): Promise<void> {
    const { places, supervisor } = this.#options;
    this.release();
    await supervisor.stop(places.daemonName);
    this.#written.clear();
    for (const path of [places.folder, places.socketPath, places.masterSocket]) await rm(path, { recursive: true, force: true });
  }

  /** Looks away; HAProxy goes on. */
  release(): void {
    this.#events?.[Symbol.dispose]();
    this.#events = undefined;
    this.#daemon = undefined;
  }

  #watch(): Disposable {
    return watchHealthEvents(this.#options.places.socketPath, { clock: this.#options.clock, onChange: () => this.#options.onChange() });
  }

  async #runningStructure(): Promise<string | undefined> {
    const info = await this.#client.command("show info").catch(() => "");
    return /^description: .*structure=(\S*)/m.exec(info)?.[1];
  }

  async #writeConfig(text: string, { check }: { readonly check: boolean }): Promise<void> {
    const path = join(this.#options.places.folder, "haproxy.cfg");
    if (!check) return await this.#writeIfChanged(path, text);
    const draft = `${path}.new`;
    await writeFileAtomically(draft, text, { mode: 0o600 });
    try {
      await run([HAPROXY, "-c", "-f", draft]);
    } catch (error) {
      throw new Problem("invalid", `HAProxy refuses the configuration in ${draft}: ${messageOf(error)}`, { cause: error });
    }
    await replaceFile(draft, path);
    this.#written.set(path, text);
  }

  async #writeIfChanged(path: string, text: string): Promise<void> {
    const before = this.#written.get(path) ?? (await readTextIfAny(path));
    if (before !== text) await writeFileAtomically(path, text, { mode: 0o600 });
    this.#written.set(path, text);
  }

  async #reload(structure: string): Promise<void> {
    const { places, clock, logger } = this.#options;
    await createMasterClient(places.masterSocket, clock).command("reload");
    const deadlineMs = clock.steadyMs() + RELOAD_TIMEOUT_MS;
    while ((await this.#runningStructure()) !== structure) {
      if (clock.steadyMs() > deadlineMs) {
        const words = (await readTextIfAny(join(places.folder, "haproxy.log")))?.trim().split("\n").slice(-5).join("\n");
        throw new Problem("unavailable", `HAProxy of ${places.daemonName} did not take over a new configuration; its last words:\n${words}`);
      }
      await clock.sleep(RELOAD_LOOK_MS);
    }
    this.#events?.[Symbol.dispose]();
    this.#events = undefined;
    logger.info("HAProxy runs a new configuration", { key: places.daemonName });
  }
}
