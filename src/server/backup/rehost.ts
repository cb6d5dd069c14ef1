import type { Store, Write } from "../../contracts/store.ts";
import { PLACEMENTS, STATUSES, WORKLOADS } from "../../fargate/records.ts";
import { ENIS, HOST_CHANGES, VPCS } from "../../network/records.ts";
import { UPLOADS } from "../../registry/records.ts";
import { CONTROL_PLANES } from "../../services/eks/records.ts";

export interface Move {
  readonly fromInstanceId: string;
  readonly toInstanceId: string;
  /** When the backup was made, ms since the epoch. */
  readonly backupAtMs: number;
  readonly nowMs: number;
}

/**
 * Takes out of restored records what was tied to the host and the instance they come from, so that the new one touches nothing of the old
 * one, which may run beside it: what is left is what a reboot leaves. The next start finds no sandbox of any task, ends each with the reason
 * given here, takes its targets out and gives its address back; services start new ones. Load balancers keep their addresses and names.
 */
export async function rehost(store: Store, move: Move): Promise<{ readonly tasksLost: number }> {
  const writes: Write[] = [];
  for (const { key } of await store.list(HOST_CHANGES)) writes.push({ op: "delete", collection: HOST_CHANGES, key });
  for (const { key } of await store.list(UPLOADS)) writes.push({ op: "delete", collection: UPLOADS, key });
  // The link to the host is chosen anew, among what is free here.
  for (const { key, value } of await store.list(VPCS)) {
    const { link, ...vpc } = value;
    if (link !== undefined) writes.push({ op: "put", collection: VPCS, key, value: vpc });
  }
  for (const { key, value } of await store.list(ENIS)) {
    const { netnsPath, ...eni } = value;
    if (netnsPath !== undefined) writes.push({ op: "put", collection: ENIS, key, value: eni });
  }
  // Endpoints are opened to the host's end of that link.
  for (const { key, value } of await store.list(CONTROL_PLANES)) {
    if (value.network?.access === undefined) continue;
    const { access: _stale, ...network } = value.network;
    writes.push({ op: "put", collection: CONTROL_PLANES, key, value: { ...value, network } });
  }
  const renamed = (name: string): string => name.replaceAll(`tidegate-${move.fromInstanceId}`, `tidegate-${move.toInstanceId}`);
  for (const { key, value } of await store.list(PLACEMENTS)) {
    const placement = { ...value, sandboxName: renamed(value.sandboxName), cgroupParent: renamed(value.cgroupParent) };
    writes.push({ op: "put", collection: PLACEMENTS, key, value: placement });
  }
  const lost = await endWorkloads(store, move);
  await store.transact([...writes, ...lost]);
  return { tasksLost: lost.length };
}

async function endWorkloads(store: Store, { backupAtMs, nowMs }: Move): Promise<readonly Write[]> {
  const active = new Set((await store.list(STATUSES)).flatMap(({ key, value }) => (value.state === "STOPPED" ? [] : [key])));
  const when = new Date(backupAtMs).toISOString();
  const reason = `Tidegate was restored from a backup of ${when}; the task ran on the host of that time.`;
  return (await store.list(WORKLOADS)).flatMap(({ key, value }): readonly Write[] => {
    if (!active.has(key)) return [];
    const stop = value.stop ?? { code: "TerminationNotice" as const, reason, atMs: nowMs };
    return [{ op: "put", collection: WORKLOADS, key, value: { ...value, desired: "STOPPED", stop } }];
  });
}
