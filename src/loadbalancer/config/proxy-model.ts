import type { HealthCheckSettings, ListenerAction, RuleCondition } from "../../contracts/load-balancing.ts";

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

/** What carries connections (`tcp`, of a network load balancer) and what reads requests (`http`). */
export type ProxyMode = "http" | "tcp";

/** `forward` to no backend answers 503, as a group without targets does; backends of weight 0 get nothing. */
export type ProxyAction =
  | Exclude<ListenerAction, { type: "forward" }>
  | { readonly type: "forward"; readonly backends: readonly { readonly name: string; readonly weight: number }[] };

export interface ProxyRule {
  /** 16 hex digits. */
  readonly id: string;
  readonly conditions: readonly RuleCondition[];
  readonly action: ProxyAction;
}

export interface Frontend {
  /** Of the listener: 16 hex digits. */
  readonly id: string;
  readonly mode: ProxyMode;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly idleTimeoutSeconds: number;
  readonly forwardedFor: "append" | "preserve" | "remove";
  /** In the order in which they are tried. */
  readonly rules: readonly ProxyRule[];
  /** For what no rule matches. */
  readonly action: ProxyAction;
}

export interface Backend {
  /** `tg-<16 hex>`. */
  readonly name: string;
  readonly mode: ProxyMode;
  readonly algorithm: "roundrobin" | "leastconn" | "source";
  readonly idleTimeoutSeconds: number;
  readonly forwardedFor: "append" | "preserve" | "remove";
  /** The load balancer's address, which the targets' security groups know. */
  readonly sourceIp: string;
  readonly healthCheck: HealthCheckSettings;
  /** Each connection begins with PROXY protocol's header of version 2. */
  readonly sendProxy: boolean;
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

/**
 * A target is two servers: one that is checked, and this one, which gets requests as long as no checked one of its backend may, as AWS fails
 * open. Draining targets have neither.
 */
export function openServerName(server: string): string {
  return `${server}_open`;
}
