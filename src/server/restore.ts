import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../core/clock.ts";
import type { KeptInstance } from "../core/config.ts";
import { silentLogger } from "../core/logger.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { writeFileAtomically } from "../host/files.ts";
import { openSqliteStore } from "../store/sqlite/sqlite-store.ts";
import { readManifestText, unpackArchive } from "./backup/archive.ts";
import { checkFiles } from "./backup/check-files.ts";
import { DATABASE_FILE, MANIFEST_FILE, parseManifest, totalBytes, type BackupManifest } from "./backup/manifest.ts";
import { rehost } from "./backup/rehost.ts";
import { checkRoom } from "./backup/room-on-disk.ts";
import { findInstance, movedInstance } from "./instance.ts";
import { VERSION } from "./version.ts";

interface RestoreOptions {
  readonly file: string;
  readonly dataDir: string;
  /** Take the place of what is in the data folder. */
  readonly replace: boolean;
  readonly port?: number;
}

const STAGING = "restoring";

/** `tidegate restore`: makes an instance of a backup, in an empty data folder. Nothing is in its place before all of it was checked. */
async function restore(options: RestoreOptions): Promise<void> {
  const { file, dataDir } = options;
  const manifest = parseManifest(await readManifestText(file), file);
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  await checkFolder(options);
  await checkRoom(dataDir, totalBytes(manifest), "a restored backup");
  const staging = join(dataDir, STAGING);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { mode: 0o700 });
  try {
    say(`unpacking ${file}, made by Tidegate ${manifest.tidegateVersion} at ${new Date(manifest.createdAtMs).toISOString()}`);
    await unpackArchive(file, staging);
    say(`checking ${manifest.files.length} files`);
    await checkFiles(staging, manifest).catch((cause: unknown) => {
      throw new Problem("invalid", `${file} is damaged: ${messageOf(cause)}`, { cause });
    });
    const instance = await movedInstance(manifest.instance, { port: options.port });
    const { tasksLost } = await moveRecords(staging, manifest, instance);
    await putInPlace(options, staging, instance);
    process.stdout.write(
      `Restored into ${dataDir}: ${manifest.files.length} files, checked. It is a new instance, ${instance.instanceId}, on port ${instance.port}` +
        `${options.port !== undefined || instance.port === manifest.instance.port ? "" : ` (${manifest.instance.port} is taken here)`}.\n` +
        `${tasksLost} tasks that ran then will be STOPPED; services start new ones. \`tidegate --data-dir ${dataDir} up --detach\` starts it.\n`,
    );
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** @throws Problem `conflict` unless the folder is empty, or what is in it may be replaced: an instance that runs nothing. */
async function checkFolder({ dataDir, replace }: RestoreOptions): Promise<void> {
  const names = (await readdir(dataDir)).filter((name) => name !== STAGING);
  if (names.length === 0) return;
  const instance = await findInstance(dataDir);
  if (instance !== undefined && existsSync(instance.runDir)) {
    throw new Problem(
      "conflict",
      `${dataDir} is an instance that is not taken down: \`tidegate --data-dir ${dataDir} down --all\` ends it and all it runs`,
    );
  }
  if (instance === undefined && !names.includes(DATABASE_FILE)) {
    throw new Problem("conflict", `${dataDir} holds other things (${names.slice(0, 3).join(", ")}): name an empty or new folder with --data-dir`);
  }
  if (!replace)
    throw new Problem("conflict", `${dataDir} holds an instance already: --replace puts the backup in its place, and what it holds is lost`);
}

async function moveRecords(staging: string, manifest: BackupManifest, instance: KeptInstance): Promise<{ readonly tasksLost: number }> {
  const store = await openSqliteStore({ path: join(staging, DATABASE_FILE), logger: silentLogger, version: VERSION });
  try {
    return await rehost(store, {
      fromInstanceId: manifest.instance.instanceId,
      toInstanceId: instance.instanceId,
      backupAtMs: manifest.createdAtMs,
      nowMs: systemClock.nowMs(),
    });
  } finally {
    await store.close();
  }
}

/** `instance.json` goes first and comes last: without it there is no instance, and the restore can be repeated. */
async function putInPlace({ dataDir }: RestoreOptions, staging: string, instance: KeptInstance): Promise<void> {
  await rm(join(dataDir, "instance.json"), { force: true });
  for (const name of await readdir(dataDir)) if (name !== STAGING) await rm(join(dataDir, name), { recursive: true, force: true });
  for (const name of await readdir(staging)) if (name !== MANIFEST_FILE) await rename(join(staging, name), join(dataDir, name));
  await writeFileAtomically(join(dataDir, "instance.json"), `${JSON.stringify(instance, null, 2)}\n`);
}

function say(text: string): void {
  process.stderr.write(`- ${text}\n`);
}

const { values } = parseArgs({
  options: {
    "data-dir": { type: "string", default: "/var/lib/tidegate" },
    from: { type: "string", default: "" },
    replace: { type: "boolean", default: false },
    port: { type: "string" },
  },
});
restore({
  file: resolve(values.from),
  dataDir: resolve(values["data-dir"]),
  replace: values.replace,
  ...(values.port !== undefined && { port: Number(values.port) }),
}).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`tidegate: nothing was restored: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
