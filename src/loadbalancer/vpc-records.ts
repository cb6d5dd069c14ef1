import type { ListenerRecord, LoadBalancerRecord, LoadBalancerStatus, RuleRecord, TargetGroupRecord } from "../contracts/load-balancing.ts";
import type { Store, Stored } from "../contracts/store.ts";
import {
  keyOfArn,
  listenerRecords,
  loadBalancerRecords,
  loadBalancerStatuses,
  ruleRecords,
  targetGroupRecords,
  targetHealths,
  targetRecords,
  type TargetHealthRecord,
  type TargetRecord,
} from "./records.ts";

/** All records of one VPC, as they are now. */
export interface VpcRecords {
  readonly vpcId: string;
  /** Those that are being deleted too. */
  readonly balancers: readonly LoadBalancerRecord[];
  /** By ARN. */
  readonly statuses: ReadonlyMap<string, LoadBalancerStatus>;
  readonly listeners: readonly ListenerRecord[];
  readonly rules: readonly RuleRecord[];
  /** By ARN. */
  readonly groups: ReadonlyMap<string, TargetGroupRecord>;
  readonly targets: readonly Stored<TargetRecord>[];
  /** By the target's key. */
  readonly healths: ReadonlyMap<string, TargetHealthRecord>;
}

export async function readVpc(store: Store, vpcId: string): Promise<VpcRecords> {
  const [balancers, statuses, listeners, rules, groups, targets, healths] = await Promise.all([
    store.list(loadBalancerRecords),
    store.list(loadBalancerStatuses),
    store.list(listenerRecords),
    store.list(ruleRecords),
    store.list(targetGroupRecords),
    store.list(targetRecords),
    store.list(targetHealths),
  ]);
  const here = <T extends { readonly vpcId: string }>(records: readonly Stored<T>[]): Stored<T>[] =>
    records.filter(({ value }) => value.vpcId === vpcId);
  const statusOfKey = new Map(here(statuses).map(({ key, value }) => [key, value]));
  const mine = here(balancers).map(({ value }) => value);
  return {
    vpcId,
    balancers: mine,
    statuses: new Map(mine.flatMap(({ arn }) => pair(arn, statusOfKey.get(keyOfArn(arn))))),
    listeners: here(listeners).map(({ value }) => value),
    rules: here(rules).map(({ value }) => value),
    groups: new Map(here(groups).map(({ value }) => [value.arn, value])),
    targets: here(targets),
    healths: new Map(here(healths).map(({ key, value }) => [key, value])),
  };
}

function pair<V>(key: string, value: V | undefined): [string, V][] {
  return value === undefined ? [] : [[key, value]];
}
