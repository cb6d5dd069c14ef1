import type { Action, Listener, LoadBalancer, Rule, TargetGroup } from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  groupsOf,
  type ListenerAction,
  type ListenerRecord,
  type LoadBalancerView,
  type RuleRecord,
  type TargetGroupRecord,
} from "../../contracts/load-balancing.ts";
import { conditionView } from "./conditions.ts";

/** Records as the API shows them. */

/** The hosted zone of load balancers' names in us-east-1; there is no Route 53 to look it up in. */
const CANONICAL_HOSTED_ZONE_ID = "Z35SXDOTRQ7X7K";

export function loadBalancerView({ record, status }: LoadBalancerView): LoadBalancer {
  return {
    LoadBalancerArn: record.arn,
    DNSName: record.dnsName,
    CanonicalHostedZoneId: CANONICAL_HOSTED_ZONE_ID,
    CreatedTime: new Date(record.createdAtMs),
    LoadBalancerName: record.name,
    Scheme: record.scheme,
    VpcId: record.vpcId,
    State: { Code: status.state, ...(status.reason === undefined ? {} : { Reason: status.reason }) },
    Type: record.type ?? "application",
    AvailabilityZones: zonesView(record),
    ...(record.securityGroupIds.length > 0 && { SecurityGroups: [...record.securityGroupIds] }),
    IpAddressType: "ipv4",
  };
}

export function zonesView({ subnets }: LoadBalancerView["record"]): NonNullable<LoadBalancer["AvailabilityZones"]> {
  return subnets.map(({ subnetId, availabilityZone }) => ({ ZoneName: availabilityZone, SubnetId: subnetId, LoadBalancerAddresses: [] }));
}

export function targetGroupView(group: TargetGroupRecord, loadBalancerArns: readonly string[]): TargetGroup {
  const { healthCheck: check } = group;
  return {
    TargetGroupArn: group.arn,
    TargetGroupName: group.name,
    Protocol: group.protocol,
    ...(group.protocolVersion !== undefined && { ProtocolVersion: group.protocolVersion }),
    Port: group.port,
    VpcId: group.vpcId,
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: check.port,
    HealthCheckEnabled: true,
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
    ...(check.protocol !== "TCP" && { HealthCheckPath: check.path, Matcher: { HttpCode: check.matcher } }),
    LoadBalancerArns: [...loadBalancerArns],
    TargetType: group.targetType,
    IpAddressType: "ipv4",
  };
}

export function listenerView(listener: ListenerRecord): Listener {
  return {
    ListenerArn: listener.arn,
    LoadBalancerArn: listener.loadBalancerArn,
    Port: listener.port,
    Protocol: listener.protocol,
    DefaultActions: [actionView(listener.defaultAction)],
  };
}

/** The rule that every listener has: its default action. */
export function defaultRuleView(listener: ListenerRecord): Rule {
  return { RuleArn: defaultRuleArn(listener), Priority: "default", Conditions: [], Actions: [actionView(listener.defaultAction)], IsDefault: true };
}

/** `…:listener-rule/app/<name>/<id>/<listener id>/<rule id>`; the default rule has its listener's id. */
export function defaultRuleArn({ arn }: ListenerRecord): string {
  return `${arn.replace(":listener/", ":listener-rule/")}/${arn.slice(arn.lastIndexOf("/") + 1)}`;
}

export function ruleView(rule: RuleRecord): Rule {
  return {
    RuleArn: rule.arn,
    Priority: String(rule.priority),
    Conditions: rule.conditions.map(conditionView),
    Actions: [actionView(rule.action)],
    IsDefault: false,
  };
}

function actionView(action: ListenerAction): Action {
  if (action.type === "forward") {
    const TargetGroups = groupsOf(action).map(({ targetGroupArn, weight }) => ({ TargetGroupArn: targetGroupArn, Weight: weight }));
    const ForwardConfig = { TargetGroups, TargetGroupStickinessConfig: { Enabled: false } };
    return { Type: "forward", ...(TargetGroups.length === 1 && { TargetGroupArn: action.targetGroupArn }), ForwardConfig };
  }
  if (action.type === "fixed-response") {
    const { statusCode, contentType, messageBody } = action;
    const FixedResponseConfig = { StatusCode: statusCode, ContentType: contentType, MessageBody: messageBody };
    return { Type: "fixed-response", Order: 1, FixedResponseConfig };
  }
  const { protocol, port, host, path, query, statusCode } = action;
  return {
    Type: "redirect",
    Order: 1,
    RedirectConfig: { Protocol: protocol, Port: port, Host: host, Path: path, Query: query, StatusCode: statusCode },
  };
}
