import type { StopReason } from "../contracts/engine.ts";
import type { Workload } from "../contracts/workload.ts";

/** What of a workload is measured against limits of its own. */
export interface MeasuredStorage {
  /** By volume name. */
  readonly volumes: ReadonlyMap<string, number>;
  /** By container name: its own layer. */
  readonly layers: ReadonlyMap<string, number>;
  readonly totalBytes: number;
}

/** Whether it has any: only then are its volumes measured one by one. */
export function hasStorageLimits({ volumes, containers }: Workload): boolean {
  return volumes.some(limitOf) || containers.some(({ ephemeralStorageLimit }) => ephemeralStorageLimit !== undefined);
}

/** The limit that is exceeded, in the kubelet's words and order: volumes, the whole, containers. Pure. */
export function storageEviction({ volumes, containers }: Workload, measured: MeasuredStorage): StopReason | undefined {
  const limited = containers.flatMap(({ name, ephemeralStorageLimit: limit }) => (limit === undefined ? [] : [{ name, limit }]));
  const volume = volumes.find((each) => (measured.volumes.get(each.name) ?? 0) > (limitOf(each)?.bytes ?? Infinity));
  if (volume !== undefined) return evicted(`Usage of EmptyDir volume "${volume.name}" exceeds the limit "${limitOf(volume)?.words}". `);
  const limitBytes = limited.reduce((sum, { limit }) => sum + limit.bytes, 0);
  if (limited.length > 0 && measured.totalBytes > limitBytes) {
    const words = limited.length === 1 ? limited[0]?.limit.words : `${limitBytes}`;
    return evicted(`Pod ephemeral local storage usage exceeds the total limit of containers ${words}. `);
  }
  const container = limited.find(({ name, limit }) => (measured.layers.get(name) ?? 0) > limit.bytes);
  if (container === undefined) return undefined;
  return evicted(`Container ${container.name} exceeded its local ephemeral storage limit "${container.limit.words}". `);
}

function limitOf(volume: Workload["volumes"][number]) {
  return volume.type === "ephemeral" && volume.medium !== "memory" ? volume.sizeLimit : undefined;
}

function evicted(reason: string): StopReason {
  return { code: "Evicted", reason };
}
