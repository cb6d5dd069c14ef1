import type { WorkloadStatus, WorkloadView } from "../contracts/engine.ts";
import type { WorkloadRecord } from "./records.ts";

/** The status with what is wanted now, which the controller may not have copied into it yet. */
export function viewOf(record: WorkloadRecord, status: WorkloadStatus): WorkloadView {
  const stop = record.stop === undefined ? undefined : { code: record.stop.code, reason: record.stop.reason };
  const stoppingAtMs = status.stoppingAtMs ?? record.stop?.atMs;
  return {
    workload: record.workload,
    status: { ...status, desired: record.desired, ...(stop !== undefined && { stop }), ...(stoppingAtMs !== undefined && { stoppingAtMs }) },
  };
}
