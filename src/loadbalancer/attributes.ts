import type { ListenerRecord, LoadBalancerRecord, TargetGroupRecord } from "../contracts/load-balancing.ts";

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

/** How long a connection through a network load balancer may be silent; default 350 s. */
export function tcpIdleSeconds(record: ListenerRecord): number {
  return Number(record.attributes["tcp.idle_timeout.seconds"] ?? 350);
}

/** Whether the target is told of the client by a header before the connection's own bytes. */
export function sendsProxyHeader(record: TargetGroupRecord): boolean {
  return record.attributes["proxy_protocol_v2.enabled"] === "true";
}

/** Whether what is still open is shut when the deregistration delay is over: always with HTTP, with TCP when it is asked for. */
export function shutsAtDelaysEnd(record: TargetGroupRecord): boolean {
  return record.protocol === "HTTP" || record.attributes["deregistration_delay.connection_termination.enabled"] === "true";
}

export function algorithmOf(record: TargetGroupRecord): "roundrobin" | "leastconn" | "source" {
  if (record.protocol === "TCP") return record.attributes["stickiness.enabled"] === "true" ? "source" : "roundrobin";
  return record.attributes["load_balancing.algorithm.type"] === "least_outstanding_requests" ? "leastconn" : "roundrobin";
}
