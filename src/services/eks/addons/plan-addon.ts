import type { AddonState } from "../records.ts";

/** What is there of an add-on, at this moment. */
export interface ObservedAddon {
  readonly isDeleting: boolean;
  /** Of what the user wants now, and of what was applied last, or tried; 0: nothing yet. */
  readonly wanted: number;
  readonly applied: number;
  /** CreateCluster's own: applied once, and the user's from then on. */
  readonly isSelfManaged: boolean;
  readonly state: AddonState;
  /** Since the last that was applied. */
  readonly sinceMs: number;
  /** Of its Deployment; `"gone"`: somebody deleted it; `undefined`: it has none, or it was not looked at. */
  readonly replicas?: { readonly wanted: number; readonly available: number } | "gone";
  readonly nowMs: number;
}

export type AddonAction =
  | { readonly do: "apply" | "remove" }
  /** Says so, unless it says so already, and looks again after that. */
  | { readonly do: "report"; readonly state: AddonState; readonly issue?: AddonIssue; readonly againMs: number }
  | { readonly do: "wait" };

export interface AddonIssue {
  readonly code: "InsufficientNumberOfReplicas" | "K8sResourceNotFound";
  readonly message: string;
}

/** Replicas have this long to come before the add-on is DEGRADED. */
const COMING_MS = 3 * 60_000;
const SOON_MS = 1000;
const UNWELL_MS = 10_000;
const WELL_MS = 60_000;

/** The next step towards an add-on that is as it is wanted, or gone. Pure. */
export function planAddon({ isDeleting, wanted, applied, isSelfManaged, state, sinceMs, replicas, nowMs }: ObservedAddon): AddonAction {
  if (isDeleting) return { do: "remove" };
  if (wanted !== applied) return { do: "apply" };
  if (isSelfManaged || state === "CREATE_FAILED" || state === "UPDATE_FAILED") return { do: "wait" };
  if (replicas === "gone") {
    const message = "The add-on's Deployment is gone from the cluster; update the add-on to have it again.";
    return { do: "report", state: "DEGRADED", issue: { code: "K8sResourceNotFound", message }, againMs: UNWELL_MS };
  }
  if (replicas === undefined || replicas.available >= replicas.wanted) return { do: "report", state: "ACTIVE", againMs: WELL_MS };
  // Somebody may have set the clock back.
  const isComing = (state === "CREATING" || state === "UPDATING") && Math.abs(nowMs - sinceMs) < COMING_MS;
  if (isComing) return { do: "report", state, againMs: SOON_MS };
  const message = `The add-on is unhealthy because it doesn't have the desired number of replicas: ${replicas.available} of ${replicas.wanted} are available.`;
  return { do: "report", state: "DEGRADED", issue: { code: "InsufficientNumberOfReplicas", message }, againMs: UNWELL_MS };
}
