import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** What etcd's volume and the one of its snapshots hold, on the host. Both are the cluster's alone. */

/** Below etcd's volume. */
export const DATA_FOLDER = "data";
/** etcd listens here too, beside the loopback of its sandbox: root of the host alone comes through to it. */
export const SOCKET = "client.sock";
const ASIDE = `${DATA_FOLDER}.before-`;

/** Whether etcd would find a database and its log there: without either it cannot come back with its objects. */
export async function hasData(volume: string): Promise<boolean> {
  const member = join(volume, DATA_FOLDER, "member");
  const isThere = await stat(join(member, "snap", "db")).then(
    (info) => info.isFile(),
    () => false,
  );
  return isThere && (await namesIn(join(member, "wal"))).some((name) => name.endsWith(".wal"));
}

/**
 * Makes way for data from a snapshot: what is there is kept beside as `data.before-<mark>`, the last one of its kind. Again with the same mark:
 * what was made meanwhile goes.
 */
export async function setAside(volume: string, mark: string): Promise<void> {
  const [data, kept] = [join(volume, DATA_FOLDER), `${ASIDE}${mark}`];
  const names = await namesIn(volume);
  for (const name of names) if (name.startsWith(ASIDE) && name !== kept) await rm(join(volume, name), { recursive: true, force: true });
  if (names.includes(kept)) return rm(data, { recursive: true, force: true });
  if (names.includes(DATA_FOLDER)) await rename(data, join(volume, kept));
}

/** A snapshot as a file. */
export interface Snapshot {
  /** e.g. `2026-01-31T12-00-00Z.db`: names sort by time. */
  readonly name: string;
  readonly takenAtMs: number;
  readonly sizeBytes: number;
}

/** Pure. */
export function snapshotName(takenAtMs: number): string {
  return `${new Date(takenAtMs)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-")}.db`;
}

/** Those in a folder, oldest first. */
export async function listSnapshots(folder: string): Promise<readonly Snapshot[]> {
  const found: Snapshot[] = [];
  for (const name of (await namesIn(folder)).toSorted()) {
    const [, date, time] = /^(\d{4}-\d\d-\d\d)T(\d\d-\d\d-\d\d)Z\.db$/.exec(name) ?? [];
    if (date === undefined || time === undefined) continue;
    const info = await stat(join(folder, name)).catch(() => undefined);
    if (info === undefined) continue;
    found.push({ name, takenAtMs: Date.parse(`${date}T${time.replaceAll("-", ":")}Z`), sizeBytes: info.size });
  }
  return found;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
