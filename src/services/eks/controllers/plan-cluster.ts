import type { WorkloadState } from "../../../contracts/engine.ts";
import type { ControlPlaneRecord } from "../records.ts";

/** What is there of a cluster at this moment. */
export interface ObservedCluster {
  readonly deleting: boolean;
  readonly state: ControlPlaneRecord["state"];
  readonly hasNetwork: boolean;
  readonly hasSecrets: boolean;
  /** Who may reach its endpoint was changed. */
  readonly isAccessDue: boolean;
  /** Its API server is to be told of an identity provider, or to forget it. */
  readonly isProviderDue: boolean;
  /** Of the certificates that its programs use. */
  readonly leavesEndMs: number;
  readonly failures: number;
  /** It served once, and what etcd would come back from is not there. */
  readonly isDataLost: boolean;
  /** Its objects are being brought back. */
  readonly isRecovering: boolean;
  /** Somebody asked for that, and it has not begun. */
  readonly isToRecover: boolean;
  /** The workload was chosen for other settings than the record has now. */
  readonly isChanged: boolean;
  /** The workload was chosen for such a change, and has not served yet. */
  readonly isUpdating: boolean;
  /** That the record names; `known: false`: the compute layer does not have it (yet). */
  readonly workload?: { readonly known: false } | ObservedWorkload;
  readonly nowMs: number;
}

export interface ObservedWorkload {
  readonly known: true;
  readonly state: WorkloadState;
  readonly isAskedToStop: boolean;
  readonly startedAtMs: number | undefined;
  readonly stoppedAtMs: number | undefined;
  /** Why it stopped. */
  readonly reason: string | undefined;
}

/** One step, after which all is looked at again; or nothing to do, for so long. */
export type ClusterAction =
  | {
      readonly do:
        | "allocate-network"
        | "open-endpoint"
        | "configure-provider"
        | "make-secrets"
        | "choose-workload"
        | "start-workload"
        | "renew-leaves"
        | "remove-all";
    }
  /** `removed`: nothing takes its place. */
  | { readonly do: "forget-workload"; readonly removed: boolean; readonly failures: number }
  | { readonly do: "stop-workload" }
  /** Its objects are to come back from a snapshot: the one that was asked for, or the last. */
  | { readonly do: "begin-recovery"; readonly why: "lost" | "asked" }
  /** Becomes ACTIVE, and what was recovered is, once the API server says it is ready. */
  | { readonly do: "look-whether-ready" }
  | { readonly do: "fail"; readonly reason: string }
  | { readonly do: "wait"; readonly forMs?: number };

/** A control plane that has not begun to serve within this is taken for one that never will. */
const READY_WITHIN_MS = 15 * 60_000;
/** One that ended earlier has failed to start. */
const SOUND_AFTER_MS = 60_000;
const MAXIMUM_FAILURES = 3;
const LONGEST_BACKOFF_MS = 60_000;
const DAY_MS = 24 * 60 * 60_000;
/** Renewal takes the API server away for seconds: it is done with time to spare, and a stop for any other reason serves for it too. */
const RENEW_BEFORE_MS = 30 * DAY_MS;
const LOOK_AGAIN_MS = 12 * 60 * 60_000;

/** The next step towards a cluster that serves, or towards none. Pure. */
export function planCluster(observed: ObservedCluster): ClusterAction {
  const { workload } = observed;
  if (observed.deleting) return planEnd(workload) ?? { do: "remove-all" };
  if (observed.state === "FAILED") return planEnd(workload) ?? { do: "wait" };
  if (!observed.hasNetwork) return { do: "allocate-network" };
  if (observed.isAccessDue) return { do: "open-endpoint" };
  if (!observed.hasSecrets) return { do: "make-secrets" };
  if (observed.isToRecover) return planEnd(workload) ?? { do: "begin-recovery", why: "asked" };
  const ageing = observed.leavesEndMs - observed.nowMs < RENEW_BEFORE_MS;
  if (ageing && workload?.known !== true) return { do: "renew-leaves" };
  if (workload === undefined) return { do: "choose-workload" };
  if (!workload.known) {
    if (observed.isDataLost && !observed.isRecovering) return { do: "begin-recovery", why: "lost" };
    return { do: "start-workload" };
  }
  if (workload.state === "STOPPED") return planReplacement(observed, workload);
  if (workload.isAskedToStop || workload.state !== "RUNNING") return { do: "wait" };
  if (observed.state === "ACTIVE" && observed.isChanged) return { do: "stop-workload" };
  if (observed.state === "ACTIVE" && (observed.isRecovering || observed.isUpdating)) return { do: "look-whether-ready" };
  if (observed.state === "ACTIVE" && observed.isProviderDue) return { do: "configure-provider" };
  if (observed.state === "ACTIVE") return ageing ? { do: "stop-workload" } : { do: "wait", forMs: LOOK_AGAIN_MS };
  if (observed.nowMs - (workload.startedAtMs ?? observed.nowMs) > READY_WITHIN_MS) {
    return {
      do: "fail",
      reason: `The control plane runs for ${READY_WITHIN_MS / 60_000} minutes now and its API server does not say that it is ready`,
    };
  }
  return { do: "look-whether-ready" };
}

/** Nothing left to do when there is no workload. */
function planEnd(workload: ObservedCluster["workload"]): ClusterAction | undefined {
  if (workload === undefined) return undefined;
  if (!workload.known || workload.state === "STOPPED") return { do: "forget-workload", removed: true, failures: 0 };
  return workload.isAskedToStop ? { do: "wait" } : { do: "stop-workload" };
}

function planReplacement(observed: ObservedCluster, workload: ObservedWorkload): ClusterAction {
  const stoppedAtMs = workload.stoppedAtMs ?? observed.nowMs;
  const ranMs = workload.startedAtMs === undefined ? 0 : stoppedAtMs - workload.startedAtMs;
  const failures = ranMs >= SOUND_AFTER_MS ? 0 : observed.failures + 1;
  if (observed.state === "CREATING" && failures >= MAXIMUM_FAILURES) {
    return { do: "fail", reason: `The control plane did not start: ${workload.reason ?? "it ended by itself"}` };
  }
  const backoffMs = failures <= 1 ? 0 : Math.min(LONGEST_BACKOFF_MS, 1000 * 2 ** Math.min(failures, 10));
  const leftMs = stoppedAtMs + backoffMs - observed.nowMs;
  // Somebody may have set the clock back.
  if (leftMs > 0 && leftMs <= backoffMs) return { do: "wait", forMs: leftMs };
  return { do: "forget-workload", removed: false, failures };
}
