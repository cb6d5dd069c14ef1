import type { ListenerRecord, LoadBalancerRecord, TargetGroupRecord } from "../contracts/load-balancing.ts";
import { algorithmOf, behaviourOf, deregistrationDelaySeconds } from "./attributes.ts";
import { serverName, type Backend, type Frontend, type ProxyModel } from "./config/proxy-model.ts";
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
    const group = listener.defaultAction.type === "forward" ? records.groups.get(listener.defaultAction.targetGroupArn) : undefined;
    frontends.push(frontendOf(records, listener, { balancer, group }));
    if (group !== undefined) backends.set(group.arn, backendOf(records, group, balancer));
  }
  return { ...place, hardStopSeconds: hardStopOf(backends.keys(), records), frontends, backends: [...backends.values()] };
}

export function backendName(targetGroupArn: string): string {
  return `tg-${idOfArn(targetGroupArn)}`;
}

function addressesOf(records: VpcRecords, balancer: LoadBalancerRecord): readonly string[] {
  return (records.statuses.get(balancer.arn)?.addresses ?? []).map(({ ip }) => ip);
}

function frontendOf(
  records: VpcRecords,
  listener: ListenerRecord,
  { balancer, group }: { readonly balancer: LoadBalancerRecord; readonly group: TargetGroupRecord | undefined },
): Frontend {
  const action = listener.defaultAction;
  return {
    id: idOfArn(listener.arn),
    addresses: addressesOf(records, balancer),
    port: listener.port,
    ...behaviourOf(balancer),
    action: action.type === "forward" ? { type: "forward", backend: group === undefined ? undefined : backendName(group.arn) } : action,
  };
}

function backendOf(records: VpcRecords, group: TargetGroupRecord, balancer: LoadBalancerRecord): Backend {
  const servers = records.targets.flatMap(({ value }) => {
    if (value.targetGroupArn !== group.arn || value.token === undefined) return [];
    return [{ name: serverName(value, value.token), ip: value.ip, port: value.port }];
  });
  return {
    name: backendName(group.arn),
    algorithm: algorithmOf(group),
    ...behaviourOf(balancer),
    sourceIp: addressesOf(records, balancer)[0] ?? "0.0.0.0",
    healthCheck: group.healthCheck,
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
