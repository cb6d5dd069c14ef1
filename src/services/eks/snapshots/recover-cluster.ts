import { Problem } from "../../../core/problem.ts";
import type { Scope } from "../../../core/scope.ts";
import type { ClusterSnapshots } from "../../../core/status-report.ts";
import { clusterKey, CLUSTERS, CONTROL_PLANES, snapshotVolumeIdOf } from "../records.ts";
import { changeRecord, type EksRoom } from "../room.ts";
import { listSnapshots } from "./etcd-folder.ts";

/** `undefined` when there is no such cluster. */
export async function snapshotsOf(room: EksRoom, scope: Scope, name: string): Promise<ClusterSnapshots | undefined> {
  const found = await room.store.get(CLUSTERS, clusterKey(scope, name));
  if (found === undefined) return undefined;
  const folder = room.ports.volumes.folder(snapshotVolumeIdOf(found.value));
  const plane = (await room.store.get(CONTROL_PLANES, found.key))?.value;
  const isAsked = found.value.recovery !== undefined && found.value.recovery.id !== plane?.recoveryId;
  const recovering = isAsked ? found.value.recovery?.snapshot : plane?.recovery && (plane.recovery.snapshot ?? "none");
  return { snapshots: folder === undefined ? [] : await listSnapshots(folder), ...(recovering !== undefined && { recovering }) };
}

/**
 * Asks that a cluster's objects be as they were at a snapshot: its control plane is stopped and comes back with them.
 * What etcd has now is kept beside. @throws Problem `not-found`, `conflict`
 */
export async function recoverCluster(
  room: EksRoom,
  scope: Scope,
  { name, snapshot }: { readonly name: string; readonly snapshot: string },
): Promise<void> {
  const list = await snapshotsOf(room, scope, name);
  if (list === undefined) throw new Problem("not-found", `there is no EKS cluster ${name}`);
  if (!list.snapshots.some((each) => each.name === snapshot)) {
    throw new Problem("not-found", `the EKS cluster ${name} has no snapshot ${snapshot}`);
  }
  const key = clusterKey(scope, name);
  const plane = (await room.store.get(CONTROL_PLANES, key))?.value;
  if (plane?.state !== "ACTIVE") throw new Problem("conflict", `the EKS cluster ${name} is not ACTIVE`);
  await changeRecord(room, CLUSTERS, {
    find: async () => {
      const found = await room.store.get(CLUSTERS, key);
      if (found === undefined) throw new Problem("not-found", `there is no EKS cluster ${name}`);
      return found;
    },
    change: (cluster) => ({ ...cluster, recovery: { id: room.ids.uuid(), snapshot } }),
  });
}
