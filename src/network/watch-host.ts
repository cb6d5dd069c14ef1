/** Notices when others change the host's firewall or its way out: Docker that starts, a firewall that is loaded again, another default route. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf } from "../core/problem.ts";

export interface WatchHost {
  readonly clock: Clock;
  readonly logger: Logger;
  /** A namespace that plays the host, for tests. */
  readonly netnsPath?: string;
  /** Never called twice at once. What it changes itself must not be news to it. */
  readonly onChange: () => Promise<void>;
}

/** Firewalls make their rules one by one: some time is given to them to finish. */
const SETTLE_MS = 500;
const START_AGAIN_MS = 30_000;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Calls `onChange` soon after rules in the kernel's nftables were changed, those that iptables-nft makes among them but not Tidegate's own,
 * or a default route. iptables-legacy tells nobody.
 */
export function watchHost(options: WatchHost): Disposable {
  const watch = new HostWatch(options);
  for (const monitor of MONITORS) watch.follow(monitor);
  return watch;
}

interface Monitor {
  readonly command: readonly string[];
  readonly isNews: (line: string) => boolean;
}

const MONITORS: readonly Monitor[] = [
  { command: ["nft", "monitor"], isNews: isRuleNews },
  { command: ["ip", "-4", "monitor", "route"], isNews: isRouteNews },
];

/**
 * What somebody else has changed, and the end of a table of ours, which a flush brings; it is also the first half of our own changes, after
 * which there is nothing to mend. Lines that begin with a hash say who made the change before.
 */
export function isRuleNews(line: string): boolean {
  return line.trim() !== "" && !line.startsWith("#") && (!line.includes("tidegate") || line.startsWith("delete table "));
}

export function isRouteNews(line: string): boolean {
  return line.startsWith("default ");
}

class HostWatch implements Disposable {
  readonly #options: WatchHost;
  /** Of each monitor its process, or the time until it is started again. */
  readonly #followed = new Map<Monitor, Disposable>();
  #soonAgain: Disposable | undefined;
  #retry: Disposable | undefined;
  /** In a row. */
  #failures = 0;
  #running = false;
  #closed = false;

  constructor(options: WatchHost) {
    this.#options = options;
  }

  /** A monitor dies with this process, however that ends. */
  follow(monitor: Monitor): void {
    const { netnsPath, clock, logger } = this.#options;
    const prefix = netnsPath === undefined ? [] : ["nsenter", `--net=${netnsPath}`, "--"];
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...prefix, ...monitor.command], { stdio: ["ignore", "pipe", "ignore"] });
    child.on("error", (error) => logger.warn(`changes of the host's firewall or routes are not noticed: ${messageOf(error)}`));
    child.on("close", () => {
      if (this.#closed) return;
      const again = (): void => {
        this.follow(monitor);
        // What has changed meanwhile nobody told.
        this.#soon();
      };
      this.#followed.set(monitor, clock.setTimer(START_AGAIN_MS, again));
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (monitor.isNews(line)) this.#soon();
    });
    this.#followed.set(monitor, { [Symbol.dispose]: () => void child.kill("SIGKILL") });
  }

  #soon(): void {
    if (this.#soonAgain !== undefined || this.#closed) return;
    this.#soonAgain = this.#options.clock.setTimer(SETTLE_MS, () => {
      this.#soonAgain = undefined;
      void this.#tell();
    });
  }

  /** Where it fails, as beside a firewall that is just being loaded, it is tried again: nobody may tell of it a second time. */
  async #tell(): Promise<void> {
    if (this.#running) return this.#soon();
    this.#running = true;
    this.#retry?.[Symbol.dispose]();
    try {
      await this.#options.onChange();
      this.#failures = 0;
    } catch (error) {
      if (this.#closed) return;
      const { clock, logger } = this.#options;
      const retryInMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(this.#failures++, 10), LONGEST_RETRY_MS);
      const words = "the host's firewall or routes were changed, and may keep the tasks from the internet now; it is tried again";
      logger.warn(`${words}: ${messageOf(error)}`, { retryInMs });
      this.#retry = clock.setTimer(retryInMs, () => this.#soon());
    } finally {
      this.#running = false;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const followed of this.#followed.values()) followed[Symbol.dispose]();
    this.#followed.clear();
    this.#soonAgain?.[Symbol.dispose]();
    this.#retry?.[Symbol.dispose]();
  }
}
