import { spawn } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { KeptInstance } from "../core/config.ts";
import { Problem } from "../core/problem.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";

/**
 * Runs `work` while no other Tidegate on this host does, so that two that start at once pick different ports and networks. The kernel
 * frees the lock when this process dies.
 * @throws Problem `unavailable` when the lock cannot be had.
 */
export async function alone<T>(runRoot: string, work: () => Promise<T>): Promise<T> {
  await mkdir(runRoot, { recursive: true, mode: 0o755 });
  const holder = spawn("flock", [runRoot, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = new Promise<void>((resolve) => holder.once("close", () => resolve()));
  try {
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.once("error", (cause) => reject(new Problem("unavailable", `cannot run flock: ${cause.message}`, { cause })));
      holder.once("close", (code) => reject(new Problem("unavailable", `cannot lock ${runRoot}: flock ended with ${code}`)));
    });
    return await work();
  } finally {
    holder.stdin.on("error", () => {});
    holder.stdin.end();
    await ended;
  }
}

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
