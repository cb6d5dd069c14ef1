import type { Pair, Step, WorkloadPlan } from "./plan-workload.ts";

/** The plan of a workload that must end: nothing starts; what lives is stopped once nothing that lives depends on it. */
export function planStop(pairs: readonly Pair[]): WorkloadPlan {
  const live = pairs.filter(isLive);
  if (live.length === 0) return { steps: [], allStarted: false, ended: true };
  const free = live.filter((pair) => !live.some((other) => other !== pair && holds(other, pair, pairs)));
  // A cycle cannot be accepted, but must not keep a workload alive either.
  const stoppable = free.length > 0 ? free : live;
  const steps = stoppable.filter((pair) => !pair.observed.busy && pair.observed.state === "running").map(stopStep);
  return { steps, allStarted: false, ended: false };
}

function isLive({ observed }: Pair): boolean {
  return observed.busy || observed.state === "running";
}

/** Whether `other`, alive, keeps `pair` from being stopped. */
function holds(other: Pair, pair: Pair, pairs: readonly Pair[]): boolean {
  if (other.spec.dependsOn.some((condition) => condition.container === pair.spec.name)) return true;
  if (pair.spec.kind !== "sidecar" || other.spec.kind === "ephemeral") return false;
  // Sidecars outlive the others, and end in the reverse of their order.
  return other.spec.kind !== "sidecar" || pairs.indexOf(other) > pairs.indexOf(pair);
}

/** The stop of a running container under its own grace. */
export function stopStep({ spec, observed }: Pair): Step {
  return { type: "stop", container: spec.name, attempt: observed.attempt, graceSeconds: observed.killGraceSeconds ?? spec.stopTimeoutSeconds };
}
