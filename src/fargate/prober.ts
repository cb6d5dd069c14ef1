import type { ContainerRuntime } from "../contracts/container-runtime.ts";
import type { Probe, Probes } from "../contracts/workload.ts";
import type { Health } from "../contracts/engine.ts";
import type { Clock } from "../core/clock.ts";
import { runAction } from "./probe-action.ts";
import { applyProbe, NOT_PROBED, verdictOf, type ProbeKind, type ProbeState, type ProbeVerdict } from "./probe-state.ts";

/** A running container that is to be probed. */
export interface ProbedContainer {
  readonly name: string;
  readonly containerId: string;
  readonly probes: Probes;
  readonly startedAtMs: number;
  readonly address: string;
  /** As stored before a restart of Tidegate: stands until a probe says otherwise. */
  readonly last: { readonly health: Health; readonly ready: boolean; readonly started: boolean };
}

export interface ProberOptions {
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  /** What the probes say of a container of this workload has changed. */
  readonly changed: (workloadId: string) => void;
}

/** Runs the probes of running containers, each on its own timer. Counters are in memory only; a restart of Tidegate begins to count anew. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #workloads = new Map<string, Map<string, ProbeLoop>>();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Probes exactly these containers of the workload from now on. */
  sync(workloadId: string, containers: readonly ProbedContainer[]): void {
    const loops = this.#workloads.get(workloadId) ?? new Map<string, ProbeLoop>();
    for (const [id, loop] of Array.from(loops)) {
      if (containers.some((container) => container.containerId === id)) continue;
      loop.close();
      loops.delete(id);
    }
    for (const container of containers) {
      if (loops.has(container.containerId) || Object.values(container.probes).every((probe) => probe === undefined)) continue;
      loops.set(container.containerId, new ProbeLoop(container, { ...this.#options, changed: () => this.#options.changed(workloadId) }));
    }
    if (loops.size === 0) this.#workloads.delete(workloadId);
    else this.#workloads.set(workloadId, loops);
  }

  /** `undefined` for a container that is not probed. */
  verdict(workloadId: string, containerId: string): ProbeVerdict | undefined {
    return this.#workloads.get(workloadId)?.get(containerId)?.verdict();
  }

  close(): void {
    for (const loops of this.#workloads.values()) for (const loop of loops.values()) loop.close();
    this.#workloads.clear();
  }
}

const KINDS: readonly ProbeKind[] = ["startup", "health", "readiness", "liveness"];

class ProbeLoop {
  readonly #container: ProbedContainer;
  readonly #options: { readonly runtime: ContainerRuntime; readonly clock: Clock; readonly changed: () => void };
  readonly #states: Record<ProbeKind, ProbeState>;
  /** On the steady clock. */
  readonly #startedMs: number;
  readonly #timers = new Map<ProbeKind, Disposable>();
  #closed = false;

  constructor(container: ProbedContainer, options: { readonly runtime: ContainerRuntime; readonly clock: Clock; readonly changed: () => void }) {
    this.#container = container;
    this.#options = options;
    const { clock } = options;
    this.#startedMs = clock.steadyMs() - Math.max(0, clock.nowMs() - container.startedAtMs);
    const known = { HEALTHY: "passing", UNHEALTHY: "failing", UNKNOWN: "unknown" } as const;
    const { health, ready, started } = container.last;
    const passingIf = (passes: boolean): ProbeState => ({ ...NOT_PROBED, outcome: passes ? "passing" : "unknown" });
    this.#states = {
      startup: passingIf(started),
      readiness: passingIf(ready),
      liveness: NOT_PROBED,
      health: { ...NOT_PROBED, outcome: known[health] },
    };
    for (const kind of KINDS) {
      const probe = container.probes[kind];
      if (probe === undefined) continue;
      const dueMs = this.#startedMs + probe.initialDelaySeconds * 1000 - clock.steadyMs();
      this.#schedule(kind, probe, Math.max(dueMs, this.#spreadMs(probe, -dueMs)));
    }
  }

  verdict(): ProbeVerdict {
    return verdictOf(this.#container.probes, this.#states);
  }

  /** What was there before Tidegate came is not probed all in one moment, as by the kubelet: each at a point of its period. */
  #spreadMs({ periodSeconds }: Probe, overdueMs: number): number {
    const periodMs = periodSeconds * 1000;
    // Ids are hex digits.
    const share = Number.parseInt(this.#container.containerId.slice(0, 8), 16) / 2 ** 32;
    return overdueMs < periodMs ? 0 : Math.floor(share * periodMs);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  #schedule(kind: ProbeKind, probe: Probe, delayMs: number): void {
    if (this.#closed) return;
    const timer = this.#options.clock.setTimer(delayMs, () => {
      void this.#probe(kind, probe).then(() => this.#schedule(kind, probe, probe.periodSeconds * 1000));
    });
    this.#timers.set(kind, timer);
  }

  async #probe(kind: ProbeKind, probe: Probe): Promise<void> {
    const { runtime, clock, changed } = this.#options;
    const heldBack = (kind === "readiness" || kind === "liveness") && !this.verdict().started;
    if (heldBack || (kind === "startup" && this.#states.startup.outcome === "passing")) return;
    const { containerId, address, probes } = this.#container;
    const result = await runAction(probe.action, { runtime, clock, containerId, address }, probe.timeoutSeconds * 1000);
    if (this.#closed) return;
    const graceful = kind === "health" && clock.steadyMs() - this.#startedMs < (probes.health?.startPeriodSeconds ?? 0) * 1000;
    const before = JSON.stringify(this.verdict());
    this.#states[kind] = applyProbe(this.#states[kind], probe, { ...result, graceful });
    if (JSON.stringify(this.verdict()) !== before) changed();
  }
}
