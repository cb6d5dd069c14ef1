import type { RuntimeContainer, RuntimeContainerSpec } from "../../contracts/container-runtime.ts";
import type { ContainerStats, ExecResult } from "../../contracts/engine.ts";
import type { Clock } from "../../core/clock.ts";
import { Problem } from "../../core/problem.ts";
import type { Behaviour } from "./script.ts";

const KILLED = 137;
const TERMINATED = 143;

export interface SimulatedContainerOptions {
  readonly id: string;
  readonly sandboxId: string;
  readonly spec: RuntimeContainerSpec;
  readonly behaviour: Behaviour;
  readonly clock: Clock;
  readonly changed: (containerId: string) => void;
}

/** One container's record and the timers of its script. */
export class SimulatedContainer {
  readonly id: string;
  readonly sandboxId: string;
  readonly spec: RuntimeContainerSpec;
  readonly #behaviour: Behaviour;
  readonly #clock: Clock;
  readonly #changed: (containerId: string) => void;
  readonly #createdAtMs: number;
  #state: "created" | "running" | "exited" = "created";
  #starting: Promise<boolean> | undefined;
  #startedAtMs?: number;
  #finishedAtMs?: number;
  #exitCode?: number;
  #oomKilled = false;
  #timers: Disposable[] = [];
  #waiters: (() => void)[] = [];

  constructor(options: SimulatedContainerOptions) {
    this.id = options.id;
    this.sandboxId = options.sandboxId;
    this.spec = options.spec;
    this.#behaviour = options.behaviour;
    this.#clock = options.clock;
    this.#changed = options.changed;
    this.#createdAtMs = options.clock.nowMs();
  }

  /** Answers whether this call started it. */
  async start(): Promise<boolean> {
    if (this.#starting !== undefined) {
      await this.#starting;
      return false;
    }
    this.#starting = this.#begin();
    return this.#starting;
  }

  async #begin(): Promise<boolean> {
    if (this.#behaviour.startDelayMs !== undefined) await this.#clock.sleep(this.#behaviour.startDelayMs);
    if (this.#state !== "created") return false;
    if (this.#behaviour.startFails !== undefined) {
      this.#end(128, false);
      throw new Problem("invalid", this.#behaviour.startFails);
    }
    this.#state = "running";
    this.#startedAtMs = this.#clock.nowMs();
    const { runsForMs, exitCode = 0, outOfMemory = false } = this.#behaviour;
    if (runsForMs !== undefined) this.#timers.push(this.#clock.setTimer(runsForMs, () => this.exit(outOfMemory ? KILLED : exitCode, outOfMemory)));
    this.#changed(this.id);
    return true;
  }

  /** Resolves when it has ended: by the signal, or killed after the grace. */
  async stop(graceMs: number): Promise<void> {
    if (this.#state === "created") return this.#end(KILLED, false);
    if (this.#state === "exited") return;
    const ended = new Promise<void>((resolve) => this.#waiters.push(resolve));
    const { stopsAfterMs = 0, stopExitCode = TERMINATED } = this.#behaviour;
    if (stopsAfterMs === 0) this.#end(stopExitCode, false);
    else if (stopsAfterMs <= graceMs) this.#timers.push(this.#clock.setTimer(stopsAfterMs, () => this.exit(stopExitCode, false)));
    else this.#timers.push(this.#clock.setTimer(graceMs, () => this.kill()));
    await ended;
  }

  kill(): void {
    if (this.#state !== "exited") this.#end(KILLED, false);
  }

  exit(exitCode: number, oomKilled: boolean): void {
    if (this.#state === "running") this.#end(exitCode, oomKilled);
  }

  async exec(request: { readonly command: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    if (this.#state !== "running") throw new Problem("conflict", `container ${this.spec.name} does not run`);
    const ranMs = this.#clock.nowMs() - (this.#startedAtMs ?? 0);
    const script = this.#behaviour.exec;
    const answer = typeof script === "function" ? script({ command: request.command, ranMs }) : (script ?? { exitCode: 0 });
    const takesMs = answer.takesMs ?? 0;
    if (takesMs > 0) await this.#clock.sleep(Math.min(takesMs, request.timeoutMs));
    if (takesMs > request.timeoutMs) throw new Problem("unavailable", `the command did not end within ${request.timeoutMs} ms`);
    return { exitCode: answer.exitCode, stdout: answer.stdout ?? "", stderr: answer.stderr ?? "" };
  }

  stats(): ContainerStats | undefined {
    if (this.#state !== "running") return undefined;
    return { atMs: this.#clock.nowMs(), cpuUsageNanos: 0, memoryBytes: 0, memoryLimitBytes: this.spec.memoryLimitBytes ?? 0 };
  }

  view(): RuntimeContainer {
    return {
      id: this.id,
      sandboxId: this.sandboxId,
      name: this.spec.name,
      attempt: this.spec.attempt,
      state: this.#state,
      labels: this.spec.labels,
      exitCode: this.#exitCode,
      oomKilled: this.#oomKilled,
      createdAtMs: this.#createdAtMs,
      startedAtMs: this.#startedAtMs,
      finishedAtMs: this.#finishedAtMs,
    };
  }

  #end(exitCode: number, oomKilled: boolean): void {
    this.#state = "exited";
    this.#exitCode = exitCode;
    this.#oomKilled = oomKilled;
    this.#finishedAtMs = this.#clock.nowMs();
    for (const timer of this.#timers.splice(0)) timer[Symbol.dispose]();
    for (const resolve of this.#waiters.splice(0)) resolve();
    this.#changed(this.id);
  }
}
