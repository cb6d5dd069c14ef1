import { mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { KeptInstance } from "../core/config.ts";
import { isProblem } from "../core/problem.ts";
import { exclusively } from "../host/exclusively.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";

/** Where the run folders of all instances are; gone after a reboot. */
export const RUN_ROOT = "/run/tidegate";
/** A file for each instance, named by its id, that says where its data folder is; there until it is purged, also while it does not run. */
const INSTANCES = "/var/lib/tidegate-instances";

type Names = Pick<KeptInstance, "instanceId" | "runDir">;

export interface OtherInstance extends KeptInstance {
  readonly dataDir: string;
}

/** What the instances on this host have, running or not, by what each keeps in its data folder; one whose folder is gone has nothing. */
export async function otherInstances(): Promise<readonly OtherInstance[]> {
  const ids = await readdir(INSTANCES).catch(() => []);
  const found = await Promise.all(ids.map(instanceOf));
  return found.filter((kept) => kept !== undefined);
}

async function instanceOf(instanceId: string): Promise<OtherInstance | undefined> {
  const dataDir = await readTextIfAny(join(INSTANCES, instanceId));
  const text = dataDir === undefined ? undefined : await readTextIfAny(join(dataDir, "instance.json"));
  if (dataDir === undefined || text === undefined) return undefined;
  const kept = JSON.parse(text) as KeptInstance;
  return kept.instanceId === instanceId ? { ...kept, dataDir } : undefined;
}

/** Makes an instance's run folder, and an entry where others find it; {@link forgetInstance} removes both. */
export async function announceInstance({ runDir, instanceId }: Names, dataDir: string): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o755 });
  const entry = join(INSTANCES, instanceId);
  if ((await readTextIfAny(entry)) !== dataDir) await writeFileAtomically(entry, dataDir);
}

/** Removes the run folder and, with `purge`, the entry; the last of both takes the folders around them with it. */
export async function forgetInstance({ runDir, instanceId }: Names, { purge }: { readonly purge: boolean }): Promise<void> {
  await rm(runDir, { recursive: true, force: true });
  if (!purge) return;
  await oneAtATime(async () => {
    await rm(join(INSTANCES, instanceId), { force: true });
    // Both fail, rightly, while other instances have something there.
    for (const folder of [INSTANCES, RUN_ROOT]) await rmdir(folder).catch(() => {});
  });
}

/** Runs `work` while no other instance on this host does. Makes {@link RUN_ROOT}, which is the lock. */
export async function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    await mkdir(RUN_ROOT, { recursive: true, mode: 0o755 });
    const before = await inodeOf(RUN_ROOT);
    const done = await lockedOnce(async () => ((await inodeOf(RUN_ROOT)) === before ? { answer: await work() } : undefined));
    if (done !== undefined) return done.answer;
  }
}

/** `undefined` where the folder went meanwhile, with the last instance: a lock on it holds nobody off. */
async function lockedOnce<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    // With the dot, since flock would make a file of what is not there.
    return await exclusively(join(RUN_ROOT, "/") + ".", work);
  } catch (error) {
    if (isProblem(error, "unavailable") && (await inodeOf(RUN_ROOT)) === undefined) return undefined;
    throw error;
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ ino }) => ino,
    () => undefined,
  );
}
