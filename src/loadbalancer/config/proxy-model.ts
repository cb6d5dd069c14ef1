import type { HealthCheckSettings, ListenerAction } from "../../contracts/load-balancing.ts";

/** All that one VPC's HAProxy does; the configuration is a pure function of it. */
export interface ProxyModel {
  /** Whose it is, in the process's description, e.g. `tidegate ab12cd vpc-0a1b`. */
  readonly owner: string;
  readonly instanceId: string;
  readonly socketPath: string;
  readonly stateFile: string;
  /** System user to run as; left out: stays who it is. */
  readonly user?: string;
  /** How long a worker that was replaced may finish its connections. */
  readonly hardStopSeconds: number;
  readonly frontends: readonly Frontend[];
  readonly backends: readonly Backend[];
}

export interface Frontend {
  /** Of the listener: 16 hex digits. */
  readonly id: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly idleTimeoutSeconds: number;
  readonly forwardedFor: "append" | "preserve" | "remove";
  /** `forward` to a group that is gone answers 503, as a group without targets does. */
  readonly action: Exclude<ListenerAction, { type: "forward" }> | { readonly type: "forward"; readonly backend: string | undefined };
}

export interface Backend {
  /** `tg-<16 hex>`. */
  readonly name: string;
  readonly algorithm: "roundrobin" | "leastconn";
  readonly idleTimeoutSeconds: number;
  readonly forwardedFor: "append" | "preserve" | "remove";
  /** The load balancer's address, which the targets' security groups know. */
  readonly sourceIp: string;
  readonly healthCheck: HealthCheckSettings;
  /** Registered targets; draining ones are only in the running processes. */
  readonly servers: readonly Server[];
}

export interface Server {
  /** `<ip>:<port>_<token>`. */
  readonly name: string;
  readonly ip: string;
  readonly port: number;
}

export function serverName(target: { readonly ip: string; readonly port: number }, token: string): string {
  return `${target.ip}:${target.port}_${token}`;
}
