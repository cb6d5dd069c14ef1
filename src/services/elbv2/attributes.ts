import type { ListenerRecord, LoadBalancerRecord, TargetGroupRecord } from "../../contracts/load-balancing.ts";
import { unsupported, validationError } from "./errors.ts";

/** What may be said of an attribute. */
export interface AttributeRule {
  readonly default: string;
  /** Values that are acted on; left out: only the default is. */
  readonly accepts?: readonly string[] | { readonly from: number; readonly to: number };
  /** Any value is taken, and changes nothing, for this reason. */
  readonly noEffect?: string;
}

export type AttributeTable = Readonly<Record<string, AttributeRule>>;

const TRUE_FALSE = ["true", "false"];
const NO_COOKIE = "stickiness cannot be switched on";

const LOAD_BALANCER_ATTRIBUTES: AttributeTable = {
  "access_logs.s3.enabled": { default: "false" },
  "access_logs.s3.bucket": { default: "" },
  "access_logs.s3.prefix": { default: "" },
  "connection_logs.s3.enabled": { default: "false" },
  "connection_logs.s3.bucket": { default: "" },
  "connection_logs.s3.prefix": { default: "" },
  "health_check_logs.s3.enabled": { default: "false" },
  "health_check_logs.s3.bucket": { default: "" },
  "health_check_logs.s3.prefix": { default: "" },
  "client_keep_alive.seconds": { default: "3600" },
  "deletion_protection.enabled": { default: "false", accepts: TRUE_FALSE },
  "idle_timeout.timeout_seconds": { default: "60", accepts: { from: 1, to: 4000 } },
  "ipv6.deny_all_igw_traffic": { default: "false" },
  "load_balancing.cross_zone.enabled": { default: "true" },
  "routing.http.desync_mitigation_mode": { default: "defensive" },
  "routing.http.drop_invalid_header_fields.enabled": { default: "false" },
  "routing.http.preserve_host_header.enabled": { default: "false", noEffect: "the Host header is never changed" },
  "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": { default: "false" },
  "routing.http.xff_client_port.enabled": { default: "false" },
  "routing.http.xff_header_processing.mode": { default: "append", accepts: ["append", "preserve", "remove"] },
  "routing.http2.enabled": { default: "true", noEffect: "it concerns HTTPS listeners, which there are none of yet" },
  "waf.fail_open.enabled": { default: "false", noEffect: "there is no WAF that could fail" },
  "zonal_shift.config.enabled": { default: "false" },
};

/** Differs: a network load balancer's addresses lead to targets in all zones, as all of a VPC's zones are on one host. */
const NETWORK_LOAD_BALANCER_ATTRIBUTES: AttributeTable = {
  "access_logs.s3.enabled": { default: "false" },
  "access_logs.s3.bucket": { default: "" },
  "access_logs.s3.prefix": { default: "" },
  "deletion_protection.enabled": { default: "false", accepts: TRUE_FALSE },
  "dns_record.client_routing_policy": { default: "any_availability_zone" },
  "ipv6.deny_all_igw_traffic": { default: "false" },
  "load_balancing.cross_zone.enabled": { default: "false", accepts: TRUE_FALSE },
  "secondary_ips.auto_assigned.per_subnet": { default: "0" },
  "zonal_shift.config.enabled": { default: "false" },
};

/**
 * Differs: HAProxy opens its own connections to targets, so that a client's address is told by PROXY protocol only; and a connection to a
 * target that becomes unhealthy goes on.
 */
const TCP_TARGET_GROUP_ATTRIBUTES: AttributeTable = {
  "deregistration_delay.connection_termination.enabled": { default: "false", accepts: TRUE_FALSE },
  "deregistration_delay.timeout_seconds": { default: "300", accepts: { from: 0, to: 3600 } },
  "load_balancing.cross_zone.enabled": {
    default: "use_load_balancer_configuration",
    accepts: ["use_load_balancer_configuration", "true"],
  },
  "preserve_client_ip.enabled": { default: "false" },
  "proxy_protocol_v2.enabled": { default: "false", accepts: TRUE_FALSE },
  "stickiness.enabled": { default: "false", accepts: TRUE_FALSE },
  "stickiness.type": { default: "source_ip" },
  "target_group_health.dns_failover.minimum_healthy_targets.count": { default: "1" },
  "target_group_health.dns_failover.minimum_healthy_targets.percentage": { default: "off" },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": { default: "1" },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": { default: "off" },
  "target_health_state.unhealthy.connection_termination.enabled": { default: "true" },
  "target_health_state.unhealthy.draining_interval_seconds": { default: "0" },
};

const TARGET_GROUP_ATTRIBUTES: AttributeTable = {
  "deregistration_delay.timeout_seconds": { default: "300", accepts: { from: 0, to: 3600 } },
  "load_balancing.algorithm.anomaly_mitigation": { default: "off" },
  "load_balancing.algorithm.type": { default: "round_robin", accepts: ["round_robin", "least_outstanding_requests"] },
  "load_balancing.cross_zone.enabled": {
    default: "use_load_balancer_configuration",
    accepts: ["use_load_balancer_configuration", "true"],
  },
  "slow_start.duration_seconds": { default: "0" },
  "stickiness.app_cookie.cookie_name": { default: "", noEffect: NO_COOKIE },
  "stickiness.app_cookie.duration_seconds": { default: "86400", noEffect: NO_COOKIE },
  "stickiness.enabled": { default: "false" },
  "stickiness.lb_cookie.duration_seconds": { default: "86400", noEffect: NO_COOKIE },
  "stickiness.type": { default: "lb_cookie", noEffect: NO_COOKIE },
  "target_group_health.dns_failover.minimum_healthy_targets.count": { default: "1" },
  "target_group_health.dns_failover.minimum_healthy_targets.percentage": { default: "off" },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": { default: "1" },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": { default: "off" },
};

const LISTENER_ATTRIBUTES: AttributeTable = {
  "routing.http.response.server.enabled": { default: "true" },
};

const TCP_LISTENER_ATTRIBUTES: AttributeTable = {
  "tcp.idle_timeout.seconds": { default: "350", accepts: { from: 60, to: 6000 } },
};

export function loadBalancerTable({ type }: Pick<LoadBalancerRecord, "type">): AttributeTable {
  return type === "network" ? NETWORK_LOAD_BALANCER_ATTRIBUTES : LOAD_BALANCER_ATTRIBUTES;
}

export function targetGroupTable({ protocol }: Pick<TargetGroupRecord, "protocol">): AttributeTable {
  return protocol === "TCP" ? TCP_TARGET_GROUP_ATTRIBUTES : TARGET_GROUP_ATTRIBUTES;
}

export function listenerTable({ protocol }: Pick<ListenerRecord, "protocol">): AttributeTable {
  return protocol === "TCP" ? TCP_LISTENER_ATTRIBUTES : LISTENER_ATTRIBUTES;
}

export interface AttributeInput {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

export interface AttributeOutput {
  readonly Key: string;
  readonly Value: string;
}

/** All attributes with their values, by name. */
export function describeAttributes(table: AttributeTable, set: Readonly<Record<string, string>>): AttributeOutput[] {
  return Object.entries(table).map(([Key, rule]) => ({ Key, Value: set[Key] ?? rule.default }));
}

/**
 * The attributes after a change; those at their default are left out.
 * @throws AwsError ValidationError for what AWS does not know, UnsupportedFeature for what Tidegate does not do yet.
 */
export function changeAttributes(
  table: AttributeTable,
  before: Readonly<Record<string, string>>,
  changes: readonly AttributeInput[],
): Readonly<Record<string, string>> {
  const after = new Map(Object.entries(before));
  for (const { Key = "", Value = "" } of changes) {
    const rule = table[Key];
    if (rule === undefined) throw validationError(`Attribute key '${Key}' not recognized`);
    checkValue(Key, Value, rule);
    if (Value === rule.default) after.delete(Key);
    else after.set(Key, Value);
  }
  return Object.fromEntries(after);
}

function checkValue(key: string, value: string, rule: AttributeRule): void {
  if (value === rule.default || rule.noEffect !== undefined) return;
  if (rule.accepts === undefined)
    throw unsupported(`The attribute '${key}' cannot be set to '${value}': Tidegate does not build it yet; leave it at '${rule.default}'`);
  if ("from" in rule.accepts) {
    const { from, to } = rule.accepts;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= from && number <= to))
      throw validationError(`'${value}' is not valid for the attribute '${key}'; it must be between ${from} and ${to}`);
  } else if (!rule.accepts.includes(value)) {
    throw validationError(`'${value}' is not valid for the attribute '${key}'; valid values are ${rule.accepts.join(", ")}`);
  }
}
