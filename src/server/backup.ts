import { constants } from "node:fs";
import { access, mkdir, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../core/clock.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { exclusively } from "../host/exclusively.ts";
import { writeFileAtomically } from "../host/files.ts";
import { packArchive } from "./backup/archive.ts";
import { MANIFEST_FILE, totalBytes } from "./backup/manifest.ts";
import { checkRoom, sizesOf } from "./backup/room-on-disk.ts";
import { stageBackup } from "./backup/stage.ts";
import { findInstance } from "./instance.ts";

/** `tidegate backup`: state, images and logs in one file, while the server may run. Answers the file. */
async function backUp({ dataDir, target }: { readonly dataDir: string; readonly target: string }): Promise<void> {
  const instance = await findInstance(dataDir);
  if (instance === undefined) throw new Problem("not-found", `there is no Tidegate under ${dataDir}`);
  const { instanceId, port, earlierPorts, account, region, vpcCidr, runDir, engine, format, tidegateVersion } = instance;
  const kept = { instanceId, port, earlierPorts, account, region, vpcCidr, runDir, engine, format, tidegateVersion };
  const nowMs = systemClock.nowMs();
  const file = await fileFor(target, { instanceId, nowMs });
  const { copiedBytes, totalBytes: expectedBytes } = await sizesOf(dataDir);
  await checkRoom(dataDir, copiedBytes, "the part of a backup that is copied first");
  await checkRoom(dirname(file), expectedBytes, "a backup");
  const folder = join(dataDir, "backup-staging");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await exclusively(folder, async () => {
    // What a killed backup left goes first.
    const staging = join(folder, "tree");
    const clean = (): Promise<void> => rm(staging, { recursive: true, force: true });
    await clean();
    await mkdir(staging, { mode: 0o700 });
    try {
      const manifest = await stageBackup({ dataDir, staging, instance: kept, nowMs, say });
      await writeFileAtomically(join(staging, MANIFEST_FILE), `${JSON.stringify(manifest)}\n`, { mode: 0o600 });
      say(`writing ${file}`);
      await packArchive(staging, file);
      process.stdout.write(`${file}: ${manifest.files.length} files, ${(totalBytes(manifest) / 1024 / 1024).toFixed(1)} MiB, checked.\n`);
    } finally {
      await clean();
    }
  });
}

/** A folder gets a file of the instance's name and the time. @throws Problem `conflict` when the file is there, `not-found` for a missing folder. */
async function fileFor(target: string, { instanceId, nowMs }: { readonly instanceId: string; readonly nowMs: number }): Promise<string> {
  const info = await stat(target).catch(() => undefined);
  const time = new Date(nowMs)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-");
  const file = info?.isDirectory() === true ? join(target, `tidegate-${instanceId}-${time}.tar`) : target;
  if ((await stat(file).catch(() => undefined)) !== undefined) throw new Problem("conflict", `${file} is there already: name another file`);
  await access(dirname(file), constants.W_OK).catch((cause: unknown) => {
    throw new Problem("not-found", `${dirname(file)} is no folder that can be written to`, { cause });
  });
  return file;
}

function say(text: string): void {
  process.stderr.write(`- ${text}\n`);
}

const { values } = parseArgs({ options: { "data-dir": { type: "string", default: "/var/lib/tidegate" }, to: { type: "string", default: "." } } });
backUp({ dataDir: resolve(values["data-dir"]), target: resolve(values.to) }).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`tidegate: no backup was made: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
