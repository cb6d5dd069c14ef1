import { groupsOf, type ListenerAction, type ListenerRecord, type LoadBalancerRecord, type TargetGroupRecord } from "../contracts/load-balancing.ts";
import { algorithmOf, behaviourOf, deregistrationDelaySeconds, sendsProxyHeader, tcpIdleSeconds } from "./attributes.ts";
import { serverName, type Backend, type Frontend, type ProxyAction, type ProxyModel } from "./config/proxy-model.ts";
import { idOfArn } from "./records.ts";
import type { VpcRecords } from "./vpc-records.ts";

/** A worker that a reload replaced may live this long at least: WebSockets do not end because somebody added a listener. */
const MIN_HARD_STOP_SECONDS = 3600;

export type ProxyPlace = Pick<ProxyModel, "owner" | "instanceId" | "socketPath" | "stateFile" | "user">;

/** What a VPC's HAProxy is to do. Load balancers without addresses yet, and those being deleted, are left out. */
export function planProxy(records: VpcRecords, place: ProxyPlace): ProxyModel {
  const served = new Map(
    records.balancers.filter((balancer) => !balancer.deleting && addressesOf(records, balancer).length > 0).map((b) => [b.arn, b]),
  );
  const frontends: Frontend[] = [];
  const backends = new Map<string, Backend>();
  for (const listener of byArn(records.listeners)) {
    const balancer = served.get(listener.loadBalancerArn);
    if (balancer === undefined) continue;
    const rules = records.rules.filter((rule) => rule.listenerArn === listener.arn).sort((a, b) => a.priority - b.priority);
    frontends.push({
      id: idOfArn(listener.arn),
      mode: modeOf(listener),
      addresses: addressesOf(records, balancer),
      port: listener.port,
      ...behaviour(listener, balancer),
      rules: rules.map(({ arn, conditions, action }) => ({ id: idOfArn(arn), conditions, action: proxyAction(action, records) })),
      action: proxyAction(listener.defaultAction, records),
    });
    for (const { targetGroupArn } of [listener.defaultAction, ...rules.map(({ action }) => action)].flatMap(groupsOf)) {
      const group = records.groups.get(targetGroupArn);
      if (group !== undefined && !backends.has(group.arn)) backends.set(group.arn, backendOf(records, group, { listener, balancer }));
    }
  }
  return { ...place, hardStopSeconds: hardStopOf(backends.keys(), records), frontends, backends: [...backends.values()] };
}

export function backendName(targetGroupArn: string): string {
  return `tg-${idOfArn(targetGroupArn)}`;
}

function addressesOf(records: VpcRecords, balancer: LoadBalancerRecord): readonly string[] {
  return (records.statuses.get(balancer.arn)?.addresses ?? []).map(({ ip }) => ip);
}

function modeOf({ protocol }: ListenerRecord | TargetGroupRecord): Frontend["mode"] {
  return protocol === "TCP" ? "tcp" : "http";
}

function behaviour(listener: ListenerRecord, balancer: LoadBalancerRecord): Pick<Frontend, "idleTimeoutSeconds" | "forwardedFor"> {
  return { ...behaviourOf(balancer), ...(listener.protocol === "TCP" && { idleTimeoutSeconds: tcpIdleSeconds(listener) }) };
}

/** A group that is gone gets nothing. */
function proxyAction(action: ListenerAction, { groups }: VpcRecords): ProxyAction {
  if (action.type !== "forward") return action;
  const known = groupsOf(action).filter(({ targetGroupArn }) => groups.has(targetGroupArn));
  return { type: "forward", backends: known.map(({ targetGroupArn, weight }) => ({ name: backendName(targetGroupArn), weight })) };
}

interface Front {
  readonly listener: ListenerRecord;
  readonly balancer: LoadBalancerRecord;
}

function backendOf(records: VpcRecords, group: TargetGroupRecord, { listener, balancer }: Front): Backend {
  const servers = records.targets.flatMap(({ value }) => {
    if (value.targetGroupArn !== group.arn || value.token === undefined) return [];
    return [{ name: serverName(value, value.token), ip: value.ip, port: value.port }];
  });
  return {
    name: backendName(group.arn),
    mode: modeOf(group),
    algorithm: algorithmOf(group),
    ...behaviour(listener, balancer),
    sourceIp: addressesOf(records, balancer)[0] ?? "0.0.0.0",
    healthCheck: group.healthCheck,
    sendProxy: sendsProxyHeader(group),
    servers,
  };
}

function hardStopOf(groupArns: Iterable<string>, records: VpcRecords): number {
  const delays = [...groupArns].flatMap((arn) => records.groups.get(arn) ?? []).map(deregistrationDelaySeconds);
  return Math.max(MIN_HARD_STOP_SECONDS, ...delays);
}

function byArn(listeners: readonly ListenerRecord[]): readonly ListenerRecord[] {
  return [...listeners].sort((a, b) => (a.arn < b.arn ? -1 : 1));
}
