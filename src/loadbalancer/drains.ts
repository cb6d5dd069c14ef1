import type { Store, Stored, Write } from "../contracts/store.ts";
import { isProblem } from "../core/problem.ts";
import { shutsAtDelaysEnd } from "./attributes.ts";
import { openServerName, serverName } from "./config/proxy-model.ts";
import { path, shutSessions } from "./haproxy/live-servers.ts";
import type { Worker } from "./haproxy/proxy-process.ts";
import type { ServerStats } from "./haproxy/stats.ts";
import { backendName } from "./plan-proxy.ts";
import { targetHealths, targetRecords, type DrainingRegistration, type TargetRecord } from "./records.ts";
import type { VpcRecords } from "./vpc-records.ts";

/** What one look at a VPC's HAProxy saw. */
export interface ProxyView {
  /** `undefined` when none runs. */
  readonly current: Worker | undefined;
  /** `<backend>/<server>` of those that the current worker had taken out before this look. */
  readonly settled: ReadonlySet<string>;
  readonly leaving: readonly Worker[];
  /** Servers that could not be deleted yet. */
  readonly leftOver: number;
}

export interface Drain {
  readonly records: VpcRecords;
  readonly proxy: ProxyView;
  readonly store: Store;
  /** Whether a registration's delay, which ends at `untilMs`, is over. */
  readonly isDue: (untilMs: number) => boolean;
}

/**
 * Ends the registrations that have nothing open any more, and those whose deregistration delay is over. Answers whether any is left.
 *
 * Differs: AWS waits for the whole delay; here a target leaves as soon as its last request or connection has ended.
 */
export async function finishDrains(drain: Drain): Promise<boolean> {
  let pending = false;
  for (const target of drain.records.targets) {
    const group = drain.records.groups.get(target.value.targetGroupArn);
    if (group === undefined) {
      await writeTarget(target, { ...target.value, token: undefined, draining: [] }, drain);
      continue;
    }
    if (target.value.draining.length === 0) continue;
    const left: DrainingRegistration[] = [];
    for (const registration of target.value.draining) {
      if (!(await isOver(target.value, registration, { ...drain, shuts: shutsAtDelaysEnd(group) }))) left.push(registration);
    }
    pending ||= left.length > 0;
    if (left.length < target.value.draining.length) await writeTarget(target, { ...target.value, draining: left }, drain);
  }
  return pending;
}

async function isOver(
  target: TargetRecord,
  registration: DrainingRegistration,
  { proxy, isDue, shuts }: Drain & { readonly shuts: boolean },
): Promise<boolean> {
  const backend = backendName(target.targetGroupArn);
  const checked = serverName(target, registration.token);
  const names = [checked, openServerName(checked)];
  const find = (worker: Worker): readonly ServerStats[] =>
    worker.servers.filter((server) => server.backend === backend && names.includes(server.name));
  const workers = [...(proxy.current === undefined ? [] : [proxy.current]), ...proxy.leaving];
  if (isDue(registration.untilMs)) {
    for (const worker of workers) for (const { name } of shuts ? find(worker) : []) await shutSessions(worker, backend, name);
    return true;
  }
  // A worker that was replaced gives its servers no new request.
  return workers.every((worker) =>
    find(worker).every(({ name, open }) => (worker !== proxy.current || proxy.settled.has(path(backend, name))) && open === 0),
  );
}

async function writeTarget(before: Stored<TargetRecord>, after: TargetRecord, { records, store }: Drain): Promise<void> {
  const guard = { collection: targetRecords, key: before.key, ifRevision: before.revision };
  const gone = after.token === undefined && after.draining.length === 0;
  const writes: Write[] = gone ? [{ op: "delete", ...guard }] : [{ op: "update", ...guard, value: after }];
  if (gone && records.healths.has(before.key)) writes.push({ op: "delete", collection: targetHealths, key: before.key });
  try {
    await store.transact(writes);
  } catch (error) {
    // Registered again meanwhile: that change wakes the controller.
    if (!isProblem(error, "conflict", "not-found")) throw error;
  }
}
