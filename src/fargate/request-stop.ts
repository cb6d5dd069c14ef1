import type { StopReason } from "../contracts/engine.ts";
import type { Store } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { isProblem, Problem } from "../core/problem.ts";
import { clipReason } from "./reasons.ts";
import { WORKLOADS, type WorkloadRecord } from "./records.ts";

/** Who asks again for the same time, a moment later, has not asked for less. */
const NOTABLE_MS = 1000;

/**
 * Asks a workload to end. The first caller's reason stays: guarded by the record's revision. Answers the record as it is afterwards.
 * @throws Problem `not-found`.
 */
export async function requestStop(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  id: string,
  reason: StopReason,
  { graceSeconds }: { readonly graceSeconds?: number } = {},
): Promise<WorkloadRecord> {
  for (;;) {
    const stored = await store.get(WORKLOADS, id);
    if (stored === undefined) throw new Problem("not-found", `there is no workload ${id}`);
    const before = stored.value.stop;
    const endsAtMs = graceSeconds === undefined ? undefined : clock.nowMs() + graceSeconds * 1000;
    const isSooner = endsAtMs !== undefined && endsAtMs < (before?.endsAtMs ?? Infinity) - NOTABLE_MS;
    if (before !== undefined && !isSooner) return stored.value;
    const first = before ?? { code: reason.code, reason: clipReason(reason.reason), atMs: clock.nowMs() };
    const stop = { ...first, ...(endsAtMs !== undefined && { endsAtMs }) };
    const value: WorkloadRecord = { ...stored.value, desired: "STOPPED", stop };
    try {
      await store.transact([{ op: "update", collection: WORKLOADS, key: id, value, ifRevision: stored.revision }]);
      return value;
    } catch (error) {
      if (!isProblem(error, "conflict")) throw error;
    }
  }
}
