import type { LoadBalancerRecord, TargetGroupRecord } from "../contracts/load-balancing.ts";

/** The attributes that the data plane reads, with AWS's defaults. */

export interface LoadBalancerBehaviour {
  readonly idleTimeoutSeconds: number;
  readonly forwardedFor: "append" | "preserve" | "remove";
}

export function behaviourOf(record: LoadBalancerRecord): LoadBalancerBehaviour {
  const mode = record.attributes["routing.http.xff_header_processing.mode"];
  return {
    idleTimeoutSeconds: Number(record.attributes["idle_timeout.timeout_seconds"] ?? 60),
    forwardedFor: mode === "preserve" || mode === "remove" ? mode : "append",
  };
}

/** How long open requests of a deregistered target may go on; default 300 s. */
export function deregistrationDelaySeconds(record: TargetGroupRecord): number {
  return Number(record.attributes["deregistration_delay.timeout_seconds"] ?? 300);
}

export function algorithmOf(record: TargetGroupRecord): "roundrobin" | "leastconn" {
  return record.attributes["load_balancing.algorithm.type"] === "least_outstanding_requests" ? "leastconn" : "roundrobin";
}
