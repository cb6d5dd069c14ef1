import type { Target, TargetHealth } from "../contracts/load-balancer.ts";
import type { TargetGroupRecord } from "../contracts/load-balancing.ts";
import type { Store, Stored, Write } from "../contracts/store.ts";
import type { Clock } from "../core/clock.ts";
import type { Ids } from "../core/ids.ts";
import { isProblem, Problem } from "../core/problem.ts";
import { deregistrationDelaySeconds } from "./attributes.ts";
import { DRAINING, REGISTERING } from "./health.ts";
import { keyOfArn, targetGroupRecords, targetHealths, targetKey, targetRecords, type TargetHealthRecord, type TargetRecord } from "./records.ts";

const ATTEMPTS = 10;

export interface Targets {
  /** Idempotent: a target that is registered stays as it is. @throws Problem `not-found` (target group). */
  register(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  /** Idempotent; port 0 means all ports of the address. @throws Problem `not-found` (target group). */
  deregister(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  /** All that are registered or drain. @throws Problem `not-found` (target group). */
  health(targetGroupArn: string): Promise<readonly TargetHealth[]>;
}

/** Desired state of targets in the store. */
export function createTargets({ store, clock, ids }: { readonly store: Store; readonly clock: Clock; readonly ids: Ids }): Targets {
  return {
    async register(targetGroupArn, targets) {
      const { vpcId } = await requireGroup(store, targetGroupArn);
      const plan = (before: TargetRecord | undefined, target: Target): TargetRecord | undefined => {
        if (before?.token !== undefined) return undefined;
        const identity = { targetGroupArn, vpcId, ip: target.ip, port: target.port };
        return { ...identity, token: ids.hex(8), registeredAtMs: clock.nowMs(), draining: before?.draining ?? [] };
      };
      await writeAll(store, targetGroupArn, targets, plan);
    },
    async deregister(targetGroupArn, targets) {
      const delayMs = deregistrationDelaySeconds(await requireGroup(store, targetGroupArn)) * 1000;
      const plan = (before: TargetRecord | undefined): TargetRecord | undefined => {
        if (before?.token === undefined) return undefined;
        const { token, ...rest } = before;
        const sinceMs = clock.nowMs();
        return { ...rest, draining: [...before.draining, { token, sinceMs, untilMs: sinceMs + delayMs }] };
      };
      await writeAll(store, targetGroupArn, targets, plan);
    },
    async health(targetGroupArn) {
      await requireGroup(store, targetGroupArn);
      const prefix = `${keyOfArn(targetGroupArn)}/`;
      const [records, healths] = await Promise.all([store.list(targetRecords, { prefix }), store.list(targetHealths, { prefix })]);
      const known = new Map(healths.map(({ key, value }) => [key, value]));
      return records.map(({ key, value }) => healthOf(value, known.get(key)));
    },
  };
}

/** What is to be said of a target now; what the controller last found counts only for the same registration. */
export function healthOf(record: TargetRecord, known: TargetHealthRecord | undefined): TargetHealth {
  const identity = { targetGroupArn: record.targetGroupArn, ip: record.ip, port: record.port };
  if (record.token === undefined) return { ...identity, ...DRAINING };
  if (known?.token !== record.token) return { ...identity, ...REGISTERING };
  const { state, reason, description } = known;
  return { ...identity, state, ...(reason === undefined ? {} : { reason }), ...(description === undefined ? {} : { description }) };
}

/** @throws Problem `not-found`. */
export async function requireGroup(store: Store, targetGroupArn: string): Promise<TargetGroupRecord> {
  const found = await store.get(targetGroupRecords, keyOfArn(targetGroupArn));
  if (found?.value.arn !== targetGroupArn) throw new Problem("not-found", `there is no target group ${targetGroupArn}`);
  return found.value;
}

type Plan = (before: TargetRecord | undefined, target: Target) => TargetRecord | undefined;

async function writeAll(store: Store, targetGroupArn: string, targets: readonly Target[], plan: Plan): Promise<void> {
  const keys = new Map(targets.map((target) => [targetKey({ targetGroupArn, ...target }), target]));
  for (let turn = 1; ; turn++) {
    const writes: Write[] = [];
    for (const [key, target] of keys) writes.push(...writeOf(key, await store.get(targetRecords, key), target, plan));
    if (writes.length === 0) return;
    try {
      await store.transact(writes);
      return;
    } catch (error) {
      if (turn === ATTEMPTS || !isProblem(error, "conflict", "already-exists", "not-found")) throw error;
    }
  }
}

function writeOf(key: string, before: Stored<TargetRecord> | undefined, target: Target, plan: Plan): Write[] {
  const value = plan(before?.value, target);
  if (value === undefined) return [];
  if (before === undefined) return [{ op: "create", collection: targetRecords, key, value }];
  return [{ op: "update", collection: targetRecords, key, value, ifRevision: before.revision }];
}
