import type { DaemonSpec } from "../contracts/daemon.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { removeDaemonCgroup } from "./daemon-cgroup.ts";
import { commandHash, isExecuted, lastLogLines, launch } from "./launch.ts";
import { isAlive } from "../host/process.ts";
import { isInNetns, signalProcess } from "./proc.ts";
import type { ProcessIdentity } from "../host/process.ts";
import type { MarkedProcess } from "./proc.ts";
import type { DaemonRecords } from "./records.ts";

const ADOPTED_CHECK_MS = 1_000;
const STOPPING_CHECK_MS = 20;
const STOP_GRACE_MS = 10_000;
const FIRST_RESTART_DELAY_MS = 100;
/** With a client's own retry after it still within the five seconds in which a daemon has to be back. */
const MAX_RESTART_DELAY_MS = 2_000;
/** A daemon that ran this long has recovered: the back-off starts anew. */
const HEALTHY_RUN_MS = 30_000;
/** How often one that is killed as it starts, by the kernel when memory runs out, say, is started again before its owner is told. */
const STARTS_AFTER_KILLS = 3;
const KILLED = "signal SIGKILL";

interface Running extends ProcessIdentity {
  readonly exited: Promise<string>;
  readonly sinceMs: number;
}

export interface Surroundings {
  readonly instanceId: string;
  readonly records: DaemonRecords;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One daemon under watch: started or adopted, restarted when it dies, until `stop` or `release`. */
export class SupervisedDaemon {
  #spec: DaemonSpec;
  readonly #around: Surroundings;
  #running: Running | undefined;
  #watch: AbortController | undefined;
  #loop: Promise<void> = Promise.resolve();
  #restarts = 0;
  #failures = 0;
  #lastExit: string | undefined;

  constructor(spec: DaemonSpec, around: Surroundings) {
    this.#spec = spec;
    this.#around = around;
  }

  get name(): string {
    return this.#spec.name;
  }
  get restarts(): number {
    return this.#restarts;
  }
  get logFile(): string {
    return this.#spec.logFile;
  }
  get lastExit(): string | undefined {
    return this.#lastExit;
  }

  pid(): number | undefined {
    return this.#running !== undefined && isAlive(this.#running) ? this.#running.pid : undefined;
  }

  /** True when a running daemon is just what `spec` asks for; then it takes over the spec's callbacks. */
  takes(spec: DaemonSpec): boolean {
    if (commandHash(spec) !== commandHash(this.#spec) || this.#watch === undefined) return false;
    this.#spec = spec;
    return true;
  }

  /** Makes it run and ready: adopts one of `candidates` if it is what the spec asks for, ends the others, else starts one. Then watches. */
  async begin(candidates: readonly MarkedProcess[]): Promise<void> {
    const adopted = candidates.find((found) => this.#isWanted(found));
    for (const other of candidates) if (other !== adopted) await endProcess(other, this.#spec.stopSignal, this.#around.clock);
    if (adopted === undefined || !(await this.#adopt(adopted))) await this.#startDespiteKills();
    this.#beginWatch();
  }

  /** Resolves when it serves, also where it dies meanwhile and is started anew. @throws Problem `unavailable` after the spec's time. */
  async waitServing(): Promise<void> {
    await this.#waitReady(undefined);
  }

  /** Resolves when it serves. @throws Problem `unavailable` after the spec's time, or when `running` ended. */
  async #waitReady(running: Running | undefined, signal?: AbortSignal): Promise<void> {
    const { clock } = this.#around;
    const spec = this.#spec;
    const deadlineMs = clock.steadyMs() + spec.readyTimeoutMs;
    let ended: string | undefined;
    void running?.exited.then((how) => (ended = how));
    for (let delayMs = 3; ; delayMs = Math.min(delayMs * 1.5, 250)) {
      if (signal?.aborted) return;
      if (ended !== undefined) throw this.#failure(`ended (${ended}) before it was ready`, ended);
      const executed = running === undefined || isExecuted(running.pid, spec);
      if (executed && (await within(clock, Math.max(1, deadlineMs - clock.steadyMs()), spec.ready()))) return;
      if (clock.steadyMs() >= deadlineMs) throw this.#failure(`was not ready within ${spec.readyTimeoutMs} ms`);
      await clock.sleep(delayMs);
    }
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#running !== undefined) signalProcess(this.#running, signal);
  }

  release(): void {
    this.#watch?.abort();
    this.#watch = undefined;
  }

  async stop(): Promise<void> {
    this.release();
    await this.#end();
    // A restart that was under way may have started it again before it saw the release.
    await this.#loop;
    await this.#end();
    this.#around.records.remove(this.name);
  }

  async #end(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) await endProcess(running, this.#spec.stopSignal, this.#around.clock);
  }

  #isWanted(found: MarkedProcess): boolean {
    if (found.commandHash !== commandHash(this.#spec)) return false;
    return this.#spec.netnsPath === undefined || isInNetns(found.pid, this.#spec.netnsPath);
  }

  async #adopt(found: MarkedProcess): Promise<boolean> {
    const { clock, logger, records } = this.#around;
    const running = { ...found, exited: adoptedExit(found, clock), sinceMs: clock.steadyMs() };
    try {
      await this.#waitReady(running);
    } catch (error) {
      logger.warn("adopted daemon does not serve, starting it anew", { daemon: this.name, pid: found.pid, err: messageOf(error) });
      await endProcess(found, this.#spec.stopSignal, clock);
      return false;
    }
    this.#running = running;
    await records.write(found);
    logger.info("daemon adopted", { daemon: this.name, pid: found.pid });
    return true;
  }

  async #startDespiteKills(): Promise<void> {
    for (let left = STARTS_AFTER_KILLS; ; left--) {
      try {
        return await this.#start();
      } catch (error) {
        if (left === 0 || !(error instanceof Problem) || error.cause !== KILLED) throw error;
        this.#around.logger.warn("daemon was killed as it started, starting it anew", { daemon: this.name });
      }
    }
  }

  async #start(signal?: AbortSignal): Promise<void> {
    const { clock, logger, records, instanceId } = this.#around;
    const launched = await launch(instanceId, this.#spec);
    this.#running = { ...launched, sinceMs: clock.steadyMs() };
    try {
      // One that cannot be recorded is not left to itself either.
      await records.write({ pid: launched.pid, startTime: launched.startTime, daemon: this.name, commandHash: commandHash(this.#spec) });
      await this.#waitReady(this.#running, signal);
    } catch (error) {
      await endProcess(launched, this.#spec.stopSignal, clock);
      this.#running = undefined;
      records.remove(this.name);
      await removeDaemonCgroup(instanceId, this.name, clock);
      throw error;
    }
    logger.info("daemon started", { daemon: this.name, pid: launched.pid });
  }

  #beginWatch(): void {
    const watch = new AbortController();
    this.#watch = watch;
    this.#loop = this.#keepAlive(watch.signal);
  }

  async #keepAlive(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#around;
    const released = aborted(signal);
    for (;;) {
      const running = this.#running;
      if (running !== undefined) {
        const how = await Promise.race([running.exited, released]);
        if (signal.aborted || how === undefined) return;
        this.#lastExit = how;
        if (clock.steadyMs() - running.sinceMs >= HEALTHY_RUN_MS) this.#failures = 0;
        this.#running = undefined;
        logger.warn("daemon ended, starting it anew", { daemon: this.name, pid: running.pid, exit: how, restarts: this.#restarts });
      }
      await delay(clock, Math.min(FIRST_RESTART_DELAY_MS * 2 ** Math.min(this.#failures++, 10), MAX_RESTART_DELAY_MS), released);
      if (signal.aborted) return;
      await this.#restart(signal);
      if (signal.aborted) return;
    }
  }

  async #restart(signal: AbortSignal): Promise<void> {
    const { logger } = this.#around;
    this.#restarts++;
    try {
      await this.#start(signal);
    } catch (error) {
      if (!signal.aborted) logger.error("daemon could not be restarted", { daemon: this.name, err: messageOf(error) });
      return;
    }
    if (signal.aborted) return;
    try {
      await this.#spec.onRestart?.();
    } catch (error) {
      logger.error("state of a restarted daemon could not be re-applied", { daemon: this.name, err: messageOf(error) });
    }
  }

  /** `cause`: how it ended, where it did. */
  #failure(what: string, cause?: string): Problem {
    const words = lastLogLines(this.#spec.logFile);
    return new Problem("unavailable", `daemon ${this.name} ${what}. Its log, ${this.#spec.logFile}, ends: ${words || "(nothing)"}`, { cause });
  }
}

/** Signals, waits for the grace period, kills; resolves when the process is gone. */
export async function endProcess(identity: ProcessIdentity, signal: NodeJS.Signals = "SIGTERM", clock: Clock): Promise<void> {
  signalProcess(identity, signal);
  const deadlineMs = clock.steadyMs() + STOP_GRACE_MS;
  while (isAlive(identity)) {
    if (clock.steadyMs() >= deadlineMs) signalProcess(identity, "SIGKILL");
    await clock.sleep(STOPPING_CHECK_MS);
  }
}

/** A process that is no child of ours gives no event when it ends (Node has no pidfd): looked at once a second. */
function adoptedExit(identity: ProcessIdentity, clock: Clock): Promise<string> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (isAlive(identity)) clock.setTimer(ADOPTED_CHECK_MS, check);
      else resolve("gone; it was started by an earlier run, so its exit code is unknown");
    };
    check();
  });
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

/** Unlike `clock.sleep` this neither keeps the process alive nor rejects. */
async function delay(clock: Clock, delayMs: number, cut: Promise<unknown>): Promise<void> {
  const passed = Promise.withResolvers<void>();
  using _timer = clock.setTimer(delayMs, passed.resolve);
  await Promise.race([passed.promise, cut]);
}

/** The probe's answer; false when it takes too long or throws. */
async function within(clock: Clock, timeoutMs: number, probe: Promise<boolean>): Promise<boolean> {
  const tooLate = Promise.withResolvers<boolean>();
  using _timer = clock.setTimer(timeoutMs, () => tooLate.resolve(false));
  return await Promise.race([probe.catch(() => false), tooLate.promise]);
}
