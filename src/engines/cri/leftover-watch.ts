import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { startTimeOf } from "../../host/process.ts";
import type { ContainerdPaths } from "./containerd-config.ts";
import type { ContainerdClient } from "./grpc.ts";
import { endOrphans } from "./orphans.ts";
import { Strangers } from "./strangers.ts";

/** Longer than containerd takes to clear up behind a caller that is gone. */
const QUIET_MS = 20_000;
/** Where containerd is younger than we are, nobody had anything made by it but us. */
const OWN_QUIET_MS = 2_000;
/** What went just now is still on its way. */
const SETTLE_MS = 1_000;
/** Between looks while sandboxes come and go. */
const APART_MS = 5_000;
/** A shim that outlived its containerd may still be making what that had asked it for: one look is not enough. */
const LOOKS_AFTER_RETURN = 2;

export interface LeftoverWatchOptions {
  readonly client: ContainerdClient;
  readonly paths: ContainerdPaths;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the containerd that runs. */
  readonly pid: () => number | undefined;
  /** Something was ended: what waited for a cgroup to be empty may go on. */
  readonly onEnded: () => void;
}

/**
 * Looks for what was cut off and is nobody's, each time containerd comes back and after sandboxes went, and ends it; looks again for as long as
 * there is something that it cannot judge yet. Idle in between.
 */
export class LeftoverWatch {
  readonly #options: LeftoverWatchOptions;
  readonly #strangers: Strangers;
  readonly #namespaceOf = new Map<string, string>();
  #timer: Disposable | undefined;
  /** On the steady clock: when the next look is due. */
  #dueMs = Infinity;
  #lookedAtMs = -Infinity;
  /** Looks that are made whatever the one before finds. */
  #looksLeft = 0;
  /** In a row, of things that could not be judged. */
  #undecided = 0;
  #looking = false;
  #closed = false;

  constructor(options: LeftoverWatchOptions) {
    this.#options = options;
    this.#strangers = new Strangers(options.clock);
  }

  /** containerd answers, again or for the first time. */
  containerdIsBack(): void {
    this.#looksLeft = LOOKS_AFTER_RETURN;
    this.#lookAt(this.#options.clock.steadyMs());
  }

  /** A sandbox was removed, or could not be made. */
  sandboxWent(): void {
    this.#lookAt(Math.max(this.#options.clock.steadyMs() + SETTLE_MS, this.#lookedAtMs + APART_MS));
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #lookAt(atMs: number): void {
    const { clock } = this.#options;
    if (this.#closed || this.#dueMs <= atMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#dueMs = atMs;
    this.#timer = clock.setTimer(atMs - clock.steadyMs(), () => {
      this.#dueMs = Infinity;
      void this.#lookNow();
    });
  }

  async #lookNow(): Promise<void> {
    const { clock, logger } = this.#options;
    if (this.#looking) return this.#lookAt(clock.steadyMs() + SETTLE_MS);
    this.#looking = true;
    const quietMs = this.#isOwn() ? OWN_QUIET_MS : QUIET_MS;
    try {
      const ended = await this.#look(quietMs);
      this.#looksLeft = Math.max(ended > 0 ? 1 : 0, this.#looksLeft - 1);
      this.#undecided = this.#strangers.size > 0 ? this.#undecided + 1 : 0;
      // What stays undecided belongs to something that lasts, as the lease of a long pull does.
      const againInMs = Math.min(QUIET_MS, quietMs * 2 ** Math.max(0, this.#undecided - 1));
      if (this.#looksLeft > 0 || this.#undecided > 0) this.#lookAt(clock.steadyMs() + againInMs);
    } catch (error) {
      if (this.#closed) return;
      logger.warn("what was cut off beneath CRI could not be removed, trying again", { retryInMs: QUIET_MS, err: messageOf(error) });
      this.#lookAt(clock.steadyMs() + QUIET_MS);
    } finally {
      this.#looking = false;
      this.#lookedAtMs = clock.steadyMs();
    }
  }

  #isOwn(): boolean {
    return Number(startTimeOf(this.#options.pid() ?? 0) ?? 0) > Number(startTimeOf(process.pid));
  }

  async #look(quietMs: number): Promise<number> {
    const { client, paths, logger, pid, onEnded } = this.#options;
    // It answers other calls a while before CRI's.
    await client.listPodSandbox({});
    const startTicks = startTimeOf(pid() ?? 0);
    if (startTicks === undefined) throw new Problem("unavailable", "containerd does not run");
    const ended = await endOrphans({ client, paths, startTicks, strangers: this.#strangers, quietMs, namespaceOf: this.#namespaceOf });
    if (ended > 0) {
      logger.info("what was cut off beneath CRI, and is nobody's, is removed", { things: ended });
      onEnded();
    }
    return ended;
  }
}
