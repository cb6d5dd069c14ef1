import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, Problem } from "../../core/problem.ts";
import { syncFolder } from "../../host/files.ts";
import { run } from "../../host/run.ts";
import { MANIFEST_FILE } from "./manifest.ts";

/** A plain tar, made and read by the system's tar: whoever has no Tidegate at hand can look into it. */

const HOURS_MS = 12 * 3_600_000;

/**
 * Packs a folder, the manifest first. The file appears whole, under its name, for its owner alone, or not at all; it has been read back and
 * compared by then. @throws Problem `unavailable`.
 */
export async function packArchive(folder: string, file: string): Promise<void> {
  const draft = `${file}.part`;
  try {
    await (await open(draft, "w", 0o600)).close();
    const members = ["--exclude", `./${MANIFEST_FILE}`, "."];
    // A blob is a link to the registry's: its content belongs in the archive each time.
    await run(["tar", "--create", "--hard-dereference", "--sort=name", "--file", draft, "--directory", folder, MANIFEST_FILE, ...members], {
      timeoutMs: HOURS_MS,
    });
    await run(["tar", "--compare", "--file", draft, "--directory", folder], { timeoutMs: HOURS_MS });
    const written = await open(draft, "r+");
    try {
      await written.sync();
    } finally {
      await written.close();
    }
    await rename(draft, file);
    await syncFolder(dirname(file));
  } catch (cause) {
    await rm(draft, { force: true });
    throw new Problem("unavailable", `${file} could not be written: ${messageOf(cause)}`, { cause });
  }
}

/** @throws Problem `invalid` when the file is no archive with a manifest at its start. */
export async function readManifestText(file: string): Promise<string> {
  try {
    return (await run(["tar", "--extract", "--to-stdout", "--occurrence=1", "--file", file, MANIFEST_FILE], { timeoutMs: HOURS_MS })).stdout;
  } catch (cause) {
    throw new Problem("invalid", `${file} is no backup of Tidegate, or it is damaged: ${messageOf(cause)}`, { cause });
  }
}

/** @throws Problem `invalid` when it is truncated or damaged. */
export async function unpackArchive(file: string, folder: string): Promise<void> {
  try {
    await run(["tar", "--extract", "--no-same-owner", "--file", file, "--directory", folder], { timeoutMs: HOURS_MS });
  } catch (cause) {
    throw new Problem("invalid", `${file} is truncated or damaged: ${messageOf(cause)}`, { cause });
  }
}
