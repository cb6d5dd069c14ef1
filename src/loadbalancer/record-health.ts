import { isDeepStrictEqual } from "node:util";
import type { Store } from "../contracts/store.ts";
import { serverName, type ProxyModel } from "./config/proxy-model.ts";
import type { ServerCondition } from "./config/server-state.ts";
import { path } from "./haproxy/live-servers.ts";
import type { ServerStats } from "./haproxy/stats.ts";
import { conditionOf, DRAINING, judge, NOT_IN_USE, REGISTERING, type HealthJudgement } from "./health.ts";
import { backendName } from "./plan-proxy.ts";
import { targetHealths, targetRecords, type TargetHealthRecord, type TargetRecord } from "./records.ts";
import type { VpcRecords } from "./vpc-records.ts";

interface Seen {
  readonly model: ProxyModel;
  readonly servers: readonly ServerStats[];
}

/** The health of each target, by its key, from what HAProxy says of its servers and from what was known. */
export function judgeAll(records: VpcRecords, seen: Seen): ReadonlyMap<string, HealthJudgement> {
  const servers = new Map(seen.servers.map((server) => [path(server.backend, server.name), server]));
  const used = new Set(seen.model.backends.map(({ name }) => name));
  const judgeOne = (key: string, target: TargetRecord): HealthJudgement => {
    const backend = backendName(target.targetGroupArn);
    if (target.token === undefined) return DRAINING;
    if (!used.has(backend)) return NOT_IN_USE;
    const known = records.healths.get(key);
    const before = known?.token === target.token && known.state !== "unused" ? known : undefined;
    const server = servers.get(path(backend, serverName(target, target.token)));
    return server === undefined ? (before ?? REGISTERING) : judge(server, before);
  };
  return new Map(records.targets.map(({ key, value }) => [key, judgeOne(key, value)]));
}

/** What each server starts with in a new process, by `<backend>/<server>`. */
export function conditionsOf(records: VpcRecords, healths: ReadonlyMap<string, HealthJudgement>): ReadonlyMap<string, ServerCondition> {
  return new Map(
    records.targets.flatMap(({ key, value }) => {
      if (value.token === undefined) return [];
      return [[path(backendName(value.targetGroupArn), serverName(value, value.token)), conditionOf(healths.get(key))] as const];
    }),
  );
}

/** Writes what has changed; answers all. A target that is gone meanwhile is left alone. */
export async function recordHealth(
  options: Seen & { readonly records: VpcRecords; readonly store: Store },
): Promise<ReadonlyMap<string, HealthJudgement>> {
  const { records, store } = options;
  const judged = judgeAll(records, options);
  for (const { key, value: target } of records.targets) {
    const judgement = judged.get(key) ?? REGISTERING;
    const health = recordOf(target, judgement);
    if (isDeepStrictEqual(health, records.healths.get(key))) continue;
    if ((await store.get(targetRecords, key)) === undefined) continue;
    await store.transact([{ op: "put", collection: targetHealths, key, value: health }]);
  }
  return judged;
}

function recordOf(target: TargetRecord, { state, reason, description }: HealthJudgement): TargetHealthRecord {
  return {
    targetGroupArn: target.targetGroupArn,
    vpcId: target.vpcId,
    ip: target.ip,
    port: target.port,
    token: target.token ?? target.draining.at(-1)?.token ?? "",
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(description === undefined ? {} : { description }),
  };
}
