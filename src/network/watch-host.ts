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
  readonly #open = new DisposableStack();
  #soonAgain: Disposable | undefined;
  #running = false;

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
      if (!this.#open.disposed) this.#open.use(clock.setTimer(START_AGAIN_MS, () => this.follow(monitor)));
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (monitor.isNews(line)) this.#soon();
    });
    this.#open.defer(() => void child.kill("SIGKILL"));
  }

  #soon(): void {
    if (this.#soonAgain !== undefined || this.#open.disposed) return;
    this.#soonAgain = this.#options.clock.setTimer(SETTLE_MS, () => {
      this.#soonAgain = undefined;
      void this.#tell();
    });
  }

  async #tell(): Promise<void> {
    if (this.#running) return this.#soon();
    this.#running = true;
    try {
      await this.#options.onChange();
    } catch (error) {
      this.#options.logger.warn(`the host's firewall or routes were changed, and may keep the tasks from the internet now: ${messageOf(error)}`);
    } finally {
      this.#running = false;
    }
  }

  [Symbol.dispose](): void {
    this.#open.dispose();
    this.#soonAgain?.[Symbol.dispose]();
  }
}
