import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { KeptInstance } from "../core/config.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";

/** What the instances on this host have, running or not, by what each keeps in its data folder; one whose folder is gone has nothing. */
export async function otherInstances(runRoot: string): Promise<readonly KeptInstance[]> {
  const found = await Promise.all((await readdir(runRoot)).map((instanceId) => instanceOf(join(runRoot, instanceId))));
  return found.filter((kept) => kept !== undefined);
}

async function instanceOf(runDir: string): Promise<KeptInstance | undefined> {
  const dataDir = await readTextIfAny(join(runDir, "data-dir")).catch(() => undefined);
  const text = dataDir === undefined ? undefined : await readTextIfAny(join(dataDir, "instance.json"));
  const kept = text === undefined ? undefined : (JSON.parse(text) as KeptInstance);
  return kept?.runDir === runDir ? kept : undefined;
}

/** Makes an instance's run folder, where others find it; the teardown removes it. */
export async function makeRunDir(runDir: string, dataDir: string): Promise<void> {
  await mkdir(runDir, { recursive: true, mode: 0o755 });
  await writeFileAtomically(join(runDir, "data-dir"), dataDir);
}
