import { join } from "node:path";
import { rm } from "node:fs/promises";
import type { Controller, ReconcileResult } from "../../../contracts/controller.ts";
import type { Stored } from "../../../contracts/store.ts";
import { messageOf } from "../../../core/problem.ts";
import { clusterArn } from "../names.ts";
import { CLUSTERS, type ClusterRecord, CONTROL_PLANES, snapshotVolumeIdOf, volumeIdOf } from "../records.ts";
import type { EksRoom } from "../room.ts";
import { listSnapshots, snapshotName } from "../snapshots/etcd-folder.ts";
import { nextSnapshotMs, surplus } from "../snapshots/plan-snapshots.ts";
import { takeSnapshot } from "../snapshots/take-snapshot.ts";

const AGAIN_MS = 5 * 60_000;

/** Takes a snapshot of each cluster's etcd once an hour while it serves, and at Tidegate's start, and lets the oldest go. */
export function createSnapshotController(room: EksRoom): Controller {
  /** Of those for which this process has taken one. */
  const taken = new Set<string>();
  return {
    name: "eks-snapshot",
    watches: [{ collection: CONTROL_PLANES, keysOf: ({ key }) => [key] }],
    initialKeys: async () => (await room.store.list(CLUSTERS)).map(({ key }) => key),
    async reconcile(key) {
      const cluster = await room.store.get(CLUSTERS, key);
      if (cluster !== undefined) return reconcile(room, taken, cluster);
      taken.delete(key);
    },
  };
}

async function reconcile(room: EksRoom, taken: Set<string>, { key, value: cluster }: Stored<ClusterRecord>): Promise<ReconcileResult | void> {
  const plane = (await room.store.get(CONTROL_PLANES, key))?.value;
  const [volume, folder] = [volumeIdOf(cluster), snapshotVolumeIdOf(cluster)].map((id) => room.ports.volumes.folder(id));
  const serves = plane?.state === "ACTIVE" && plane.recovery === undefined && cluster.deletingSinceMs === undefined;
  if (!serves || volume === undefined || folder === undefined) return;
  const nowMs = room.clock.nowMs();
  const waitMs = taken.has(key) ? nextSnapshotMs(await listSnapshots(folder), nowMs) - nowMs : 0;
  if (waitMs > 0) return { requeueAfterMs: waitMs };
  try {
    const last = (await listSnapshots(folder)).at(-1);
    await room.ports.volumes.ensureRoom(`a snapshot of the EKS cluster ${cluster.name}`, last?.sizeBytes ?? 0);
    const name = snapshotName(nowMs);
    const sizeBytes = await takeSnapshot({ volume, folder, name });
    taken.add(key);
    for (const old of surplus(await listSnapshots(folder))) await rm(join(folder, old.name), { force: true });
    room.logger.info(`a snapshot of the EKS cluster ${cluster.name} is taken`, { clusterArn: clusterArn(cluster), snapshot: name, sizeBytes });
    return { requeueAfterMs: nextSnapshotMs(await listSnapshots(folder), nowMs) - nowMs };
  } catch (error) {
    room.logger.warn(`no snapshot of the EKS cluster ${cluster.name}: ${messageOf(error)}; tried again in ${AGAIN_MS / 60_000} minutes`, {
      clusterArn: clusterArn(cluster),
    });
    return { requeueAfterMs: AGAIN_MS };
  }
}
