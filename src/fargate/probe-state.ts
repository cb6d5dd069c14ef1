import type { Complaint, Health } from "../contracts/engine.ts";
import type { Probe, Probes } from "../contracts/workload.ts";

/** The standing of one probe: what its last results add up to. */
export interface ProbeState {
  readonly outcome: "unknown" | "passing" | "failing";
  readonly successes: number;
  readonly failures: number;
  /** Of the last result, where that was none. */
  readonly words?: string;
}

export const NOT_PROBED: ProbeState = { outcome: "unknown", successes: 0, failures: 0 };

/** Counts one result. `graceful`: within a start period, where failures do not count. */
export function applyProbe(
  state: ProbeState,
  probe: Probe,
  result: { readonly ok: boolean; readonly graceful?: boolean; readonly words?: string },
): ProbeState {
  if (result.ok) {
    const successes = state.successes + 1;
    return { outcome: successes >= probe.successThreshold ? "passing" : state.outcome, successes, failures: 0 };
  }
  // A first success ends the start period.
  if (result.graceful === true && state.outcome !== "passing") return { ...state, successes: 0 };
  const failures = state.failures + 1;
  const words = result.words === undefined ? {} : { words: result.words };
  return { outcome: failures >= probe.failureThreshold ? "failing" : state.outcome, successes: 0, failures, ...words };
}

export type ProbeKind = keyof Probes;
export type ProbeStates = Readonly<Record<ProbeKind, ProbeState>>;

/** What a container's probes say of it together. */
export interface ProbeVerdict {
  readonly health: Health;
  readonly started: boolean;
  readonly ready: boolean;
  readonly killReason?: string;
  /** How long it then has, where the probe says so. */
  readonly killGraceSeconds?: number;
  readonly complaint?: Complaint;
}

const HEALTH: Readonly<Record<ProbeState["outcome"], Health>> = { unknown: "UNKNOWN", passing: "HEALTHY", failing: "UNHEALTHY" };

/** @see Kubernetes: startup holds back the others; a failed startup or liveness probe kills; readiness only says ready. */
export function verdictOf(probes: Probes, states: ProbeStates): ProbeVerdict {
  const started = probes.startup === undefined || states.startup.outcome === "passing";
  const killed = states.startup.outcome === "failing" ? "startup" : states.liveness.outcome === "failing" ? "liveness" : undefined;
  return {
    health: HEALTH[states.health.outcome],
    started,
    ready: started && (probes.readiness === undefined || states.readiness.outcome === "passing"),
    ...(killed !== undefined && { killReason: `its ${killed} probe failed`, killGraceSeconds: probes[killed]?.stopTimeoutSeconds }),
    ...complaintOf(states, killed),
  };
}

/** Of those whose last result was a failure, the one that weighs most. */
function complaintOf(states: ProbeStates, killed: "startup" | "liveness" | undefined): { readonly complaint?: Complaint } {
  const about = killed ?? (["startup", "liveness", "readiness"] as const).find((kind) => states[kind].words !== undefined);
  if (about === undefined) return {};
  return { complaint: { about, words: states[about].words ?? "", ...(killed !== undefined && { ends: true }) } };
}
