import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../core/problem.ts";
import { makeFolder } from "../../host/files.ts";
import { CLUSTERS, type ClusterRecord, CONTROL_PLANES, type ControlPlaneRecord, snapshotVolumeIdOf, volumeIdOf } from "../../services/eks/records.ts";
import { listSnapshots, snapshotName } from "../../services/eks/snapshots/etcd-folder.ts";
import { takeSnapshot } from "../../services/eks/snapshots/take-snapshot.ts";
import { readRecords } from "../../store/sqlite/copy-database.ts";
import { DATABASE_FILE } from "./manifest.ts";

interface StageClusters {
  readonly dataDir: string;
  readonly staging: string;
  readonly nowMs: number;
  readonly say: (text: string) => void;
}

/**
 * Of each EKS cluster that the database copy knows, and that served, a snapshot of its etcd as of now, by etcd itself; where that does not run, the last one
 * that was taken. It lies where the restored instance looks for what to bring lost data back from.
 */
export async function stageClusters({ dataDir, staging, nowMs, say }: StageClusters): Promise<void> {
  for (const cluster of clustersOf(join(staging, DATABASE_FILE))) {
    const volumes = (root: string, id: string): string => join(root, "volumes", id);
    const [volume, kept] = [volumes(dataDir, volumeIdOf(cluster)), volumes(dataDir, snapshotVolumeIdOf(cluster))];
    const folder = volumes(staging, snapshotVolumeIdOf(cluster));
    try {
      await takeSnapshot({ volume, folder, name: snapshotName(nowMs) });
      say(`the objects of the EKS cluster ${cluster.name}`);
    } catch (error) {
      const last = (await listSnapshots(kept)).at(-1);
      if (last === undefined) {
        say(`the EKS cluster ${cluster.name} does not run and has no snapshot yet: its objects are left out (${messageOf(error)})`);
        continue;
      }
      say(`the EKS cluster ${cluster.name} does not run: its objects as of ${new Date(last.takenAtMs).toISOString()} (${messageOf(error)})`);
      await makeFolder(folder, { mode: 0o700 });
      await copyFile(join(kept, last.name), join(folder, last.name));
    }
  }
}

function clustersOf(databasePath: string): readonly ClusterRecord[] {
  const clusters = new Map<string, ClusterRecord>();
  const served = new Set<string>();
  for (const { collection, key, value } of readRecords(databasePath)) {
    if (collection === CLUSTERS.name && (value as ClusterRecord).deletingSinceMs === undefined) clusters.set(key, value as ClusterRecord);
    if (collection === CONTROL_PLANES.name && (value as ControlPlaneRecord).state === "ACTIVE") served.add(key);
  }
  return [...clusters].flatMap(([key, cluster]) => (served.has(key) ? [cluster] : []));
}
