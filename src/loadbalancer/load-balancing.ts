import type { Target, TargetHealth } from "../contracts/load-balancer.ts";
import {
  groupsOf,
  type ListenerRecord,
  type LoadBalancerRecord,
  type LoadBalancerView,
  type LoadBalancing,
  type RuleRecord,
  type TargetGroupRecord,
} from "../contracts/load-balancing.ts";
import type { Collection, Store, Stored, Write } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import { formatArn } from "../core/arn.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem, Problem } from "../core/problem.ts";
import { scopedKey, scopePrefix, type Scope } from "../core/scope.ts";
import {
  claims,
  idOfArn,
  keyOfArn,
  listenerRecords,
  loadBalancerRecords,
  loadBalancerStatuses,
  ruleRecords,
  shortNameOfArn,
  targetGroupRecords,
} from "./records.ts";
import { createTargets } from "./targets.ts";

const SERVICE = "elasticloadbalancing";
const PROVISIONING = { state: "provisioning", addresses: [] } as const;
const DELETE_ATTEMPTS = 5;

export interface LoadBalancingOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** The records of ELBv2 over the store. */
export function createLoadBalancing(options: LoadBalancingOptions): LoadBalancing {
  const targets = createTargets(options);
  return {
    ...balancers(options),
    ...targetGroups(options),
    ...listeners(options),
    ...rules(options),
    registerTargets: (arn, list: readonly Target[]) => targets.register(arn, list),
    deregisterTargets: (arn, list: readonly Target[]) => targets.deregister(arn, list),
    targetHealth: (arn): Promise<readonly TargetHealth[]> => targets.health(arn),
  };
}

function balancers({
  store,
  clock,
  ids,
}: LoadBalancingOptions): Pick<LoadBalancing, "createLoadBalancer" | "loadBalancers" | "updateLoadBalancer" | "deleteLoadBalancer"> {
  const view = async (record: LoadBalancerRecord): Promise<LoadBalancerView> => {
    const status = await store.get(loadBalancerStatuses, keyOfArn(record.arn));
    return { record, status: status?.value ?? PROVISIONING };
  };
  return {
    async createLoadBalancer(spec) {
      const id = ids.hex(16);
      const arn = formatArn({
        service: SERVICE,
        region: spec.region,
        account: spec.account,
        resource: `loadbalancer/${kindOf(spec)}/${spec.name}/${id}`,
      });
      const dnsName = `${spec.name}-${id}.${spec.region}.elb.tidegate.internal`.toLowerCase();
      const record = { ...spec, arn, dnsName, deleting: false, createdAtMs: clock.nowMs() };
      await claimed(
        store,
        [
          { op: "create", collection: claims, key: nameClaim(record, "lb"), value: { arn } },
          { op: "create", collection: loadBalancerRecords, key: keyOfArn(arn), value: record },
        ],
        `a load balancer named ${spec.name} exists`,
      );
      return { record, status: PROVISIONING };
    },
    async loadBalancers(scope) {
      const records = await inOrder(store, loadBalancerRecords, scope);
      return await Promise.all(records.filter((record) => !record.deleting).map(view));
    },
    async updateLoadBalancer(arn, change) {
      const record = await change1(store, loadBalancerRecords, arn, (before) => {
        if (before.deleting) throw missing(arn);
        return change(before);
      });
      return await view(record);
    },
    async deleteLoadBalancer(arn) {
      await repeated(async () => {
        const found = await find(store, loadBalancerRecords, arn);
        if (found === undefined || found.value.deleting) return;
        const [attached, ruled] = await Promise.all([inOrder(store, listenerRecords, found.value), inOrder(store, ruleRecords, found.value)]);
        await store.transact([
          { op: "update", collection: loadBalancerRecords, key: found.key, value: { ...found.value, deleting: true }, ifRevision: found.revision },
          { op: "delete", collection: claims, key: nameClaim(found.value, "lb") },
          ...attached.filter((listener) => listener.loadBalancerArn === arn).flatMap(listenerDeletion),
          ...ruled.filter((rule) => rule.loadBalancerArn === arn).flatMap(ruleDeletion),
        ]);
      });
    },
  };
}

function targetGroups({
  store,
  clock,
  ids,
}: LoadBalancingOptions): Pick<LoadBalancing, "createTargetGroup" | "targetGroups" | "updateTargetGroup" | "deleteTargetGroup"> {
  return {
    async createTargetGroup(spec) {
      const resource = `targetgroup/${spec.name}/${ids.hex(16)}`;
      const arn = formatArn({ service: SERVICE, region: spec.region, account: spec.account, resource });
      const record: TargetGroupRecord = { ...spec, arn, createdAtMs: clock.nowMs() };
      await claimed(
        store,
        [
          { op: "create", collection: claims, key: nameClaim(record, "tg"), value: { arn } },
          { op: "create", collection: targetGroupRecords, key: keyOfArn(arn), value: record },
        ],
        `a target group named ${spec.name} exists`,
      );
      return record;
    },
    targetGroups: (scope) => inOrder(store, targetGroupRecords, scope),
    updateTargetGroup: (arn, change) => change1(store, targetGroupRecords, arn, change),
    async deleteTargetGroup(arn) {
      const found = await find(store, targetGroupRecords, arn);
      if (found === undefined) return;
      const user = (await forwardersOf(store, found.value)).find(({ targetGroupArns }) => targetGroupArns.includes(arn));
      if (user !== undefined) throw new Problem("conflict", `target group ${arn} is in use by ${user.arn}`);
      // Its targets' records go with the controller's next look: nothing forwards to it.
      await store.transact([
        { op: "delete", collection: claims, key: nameClaim(found.value, "tg") },
        { op: "delete", collection: targetGroupRecords, key: found.key },
      ]);
    },
  };
}

function listeners({
  store,
  clock,
  ids,
}: LoadBalancingOptions): Pick<LoadBalancing, "createListener" | "listeners" | "updateListener" | "deleteListener"> {
  return {
    async createListener(spec) {
      const balancer = (await find(store, loadBalancerRecords, spec.loadBalancerArn))?.value;
      if (balancer === undefined || balancer.deleting) throw missing(spec.loadBalancerArn);
      const { account, region, vpcId } = balancer;
      const resource = `listener/${shortNameOfArn(balancer.arn)}/${ids.hex(16)}`;
      const arn = formatArn({ service: SERVICE, region, account, resource });
      const record: ListenerRecord = { ...spec, account, region, vpcId, arn, createdAtMs: clock.nowMs() };
      await claimed(
        store,
        [
          { op: "create", collection: claims, key: portClaim(record), value: { arn } },
          { op: "create", collection: listenerRecords, key: keyOfArn(arn), value: record },
        ],
        `${spec.loadBalancerArn} has a listener on port ${spec.port}`,
      );
      // One that was deleted in the same moment has taken along only what it found.
      if ((await find(store, loadBalancerRecords, balancer.arn))?.value.deleting === false) return record;
      await unlessGone(store.transact(listenerDeletion(record)));
      throw missing(spec.loadBalancerArn);
    },
    listeners: (scope) => inOrder(store, listenerRecords, scope),
    updateListener: (arn, change) =>
      change1(store, listenerRecords, arn, change, (before, after) => {
        if (before.port === after.port) return [];
        return [
          { op: "create", collection: claims, key: portClaim(after), value: { arn } },
          { op: "delete", collection: claims, key: portClaim(before) },
        ];
      }),
    async deleteListener(arn) {
      const found = await find(store, listenerRecords, arn);
      if (found === undefined) return;
      const attached = (await inOrder(store, ruleRecords, found.value)).filter((rule) => rule.listenerArn === arn);
      await unlessGone(store.transact([...listenerDeletion(found.value), ...attached.flatMap(ruleDeletion)]));
    },
  };
}

function rules({
  store,
  clock,
  ids,
}: LoadBalancingOptions): Pick<LoadBalancing, "createRule" | "rules" | "updateRule" | "deleteRule" | "setRulePriorities"> {
  return {
    async createRule(spec) {
      const listener = (await find(store, listenerRecords, spec.listenerArn))?.value;
      if (listener === undefined) throw missing(spec.listenerArn);
      const { account, region, vpcId, loadBalancerArn } = listener;
      const arn = `${listener.arn.replace(":listener/", ":listener-rule/")}/${ids.hex(16)}`;
      const record: RuleRecord = { ...spec, account, region, vpcId, loadBalancerArn, arn, createdAtMs: clock.nowMs() };
      await claimed(
        store,
        [
          { op: "create", collection: claims, key: priorityClaim(record), value: { arn } },
          { op: "create", collection: ruleRecords, key: keyOfArn(arn), value: record },
        ],
        `${spec.listenerArn} has a rule of priority ${spec.priority}`,
      );
      // As with listeners.
      if ((await find(store, listenerRecords, listener.arn)) !== undefined) return record;
      await unlessGone(store.transact(ruleDeletion(record)));
      throw missing(spec.listenerArn);
    },
    rules: (scope) => inOrder(store, ruleRecords, scope),
    updateRule: (arn, change) => change1(store, ruleRecords, arn, (before) => ({ ...change(before), priority: before.priority })),
    setRulePriorities: (priorities) =>
      repeated(async () => {
        const found = await Promise.all(
          [...priorities].map(async ([arn, priority]) => ({ before: await find(store, ruleRecords, arn), arn, priority })),
        );
        const changes = found.map(({ before, arn, priority }) => {
          if (before === undefined) throw missing(arn);
          return { before, after: { ...before.value, priority } };
        });
        const left = changes.map(({ before }) => priorityClaim(before.value));
        const taken = changes.map(({ after }) => priorityClaim(after));
        // One that changes hands among these rules is neither freed nor taken.
        const writes: Write[] = [
          ...left.filter((key) => !taken.includes(key)).map((key): Write => ({ op: "delete", collection: claims, key })),
          ...changes.flatMap(({ before, after }): Write[] => {
            const key = priorityClaim(after);
            const claim: Write = { op: left.includes(key) ? "put" : "create", collection: claims, key, value: { arn: after.arn } };
            return [claim, { op: "update", collection: ruleRecords, key: before.key, value: after, ifRevision: before.revision }];
          }),
        ];
        await claimed(store, writes, "a rule of one of the priorities exists");
        return changes.map(({ after }) => after);
      }),
    async deleteRule(arn) {
      const found = await find(store, ruleRecords, arn);
      if (found !== undefined) await unlessGone(store.transact(ruleDeletion(found.value)));
    },
  };
}

async function unlessGone(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isProblem(error, "not-found")) throw error;
  });
}

function listenerDeletion(listener: ListenerRecord): Write[] {
  return [
    { op: "delete", collection: listenerRecords, key: keyOfArn(listener.arn) },
    { op: "delete", collection: claims, key: portClaim(listener) },
  ];
}

function ruleDeletion(rule: RuleRecord): Write[] {
  return [
    { op: "delete", collection: ruleRecords, key: keyOfArn(rule.arn) },
    { op: "delete", collection: claims, key: priorityClaim(rule) },
  ];
}

function kindOf({ type }: Pick<LoadBalancerRecord, "type">): "app" | "net" {
  return type === "network" ? "net" : "app";
}

function nameClaim(record: Scope & { readonly name: string }, kind: "lb" | "tg"): string {
  return scopedKey(record, kind, record.name);
}

function portClaim(listener: ListenerRecord): string {
  return scopedKey(listener, "port", idOfArn(listener.loadBalancerArn), String(listener.port));
}

function priorityClaim(rule: RuleRecord): string {
  return scopedKey(rule, "priority", idOfArn(rule.listenerArn), String(rule.priority));
}

/** The listeners and rules of a scope, and to which groups each forwards. */
export async function forwardersOf(
  store: Store,
  scope: Scope,
): Promise<readonly { readonly arn: string; readonly loadBalancerArn: string; readonly targetGroupArns: readonly string[] }[]> {
  const [listening, ruling] = await Promise.all([inOrder(store, listenerRecords, scope), inOrder(store, ruleRecords, scope)]);
  const all = [...listening.map(({ defaultAction, ...listener }) => ({ ...listener, action: defaultAction })), ...ruling];
  return all.map(({ arn, loadBalancerArn, action }) => ({
    arn,
    loadBalancerArn,
    targetGroupArns: groupsOf(action).map(({ targetGroupArn }) => targetGroupArn),
  }));
}

function missing(arn: string): Problem {
  return new Problem("not-found", `there is no ${arn}`);
}

async function claimed(store: Store, writes: readonly Write[], taken: string): Promise<void> {
  try {
    await store.transact(writes);
  } catch (cause) {
    throw isProblem(cause, "already-exists") ? new Problem("already-exists", taken, { cause }) : cause;
  }
}

async function find<T extends { readonly arn: string }>(store: Store, records: Collection<T>, arn: string): Promise<Stored<T> | undefined> {
  try {
    const found = await store.get(records, keyOfArn(arn));
    return found?.value.arn === arn ? found : undefined;
  } catch (error) {
    if (isProblem(error, "not-found")) return undefined;
    throw error;
  }
}

async function inOrder<T extends { readonly createdAtMs: number }>(store: Store, records: Collection<T>, scope: Scope): Promise<readonly T[]> {
  const found = await store.list(records, { prefix: scopePrefix(scope) });
  return found.map(({ value }) => value).sort((a, b) => a.createdAtMs - b.createdAtMs);
}

/** Reads, changes and writes one record, again when somebody else was faster. */
async function change1<T extends { readonly arn: string }>(
  store: Store,
  records: Collection<T>,
  arn: string,
  change: (record: T) => T,
  beside: (before: T, after: T) => readonly Write[] = () => [],
): Promise<T> {
  return await repeated(async () => {
    const found = await find(store, records, arn);
    if (found === undefined) throw missing(arn);
    const after = change(found.value);
    const update: Write = { op: "update", collection: records, key: found.key, value: after, ifRevision: found.revision };
    await store.transact([update, ...beside(found.value, after)]);
    return after;
  });
}

async function repeated<T>(attempt: () => Promise<T>): Promise<T> {
  for (let turn = 1; ; turn++) {
    try {
      return await attempt();
    } catch (error) {
      if (turn === DELETE_ATTEMPTS || !isProblem(error, "conflict")) throw error;
    }
  }
}
