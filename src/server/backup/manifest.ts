import type { KeptInstance } from "../../core/config.ts";
import { Problem } from "../../core/problem.ts";

/** The first member of a backup: what the others are, each with its checksum. */
export interface BackupManifest {
  readonly kind: "tidegate-backup";
  readonly format: number;
  readonly tidegateVersion: string;
  readonly schemaVersion: number;
  readonly createdAtMs: number;
  readonly instance: KeptInstance;
  readonly files: readonly BackupFile[];
}

export interface BackupFile {
  /** Below the archive's root, which is laid out as a data folder. */
  readonly path: string;
  readonly sizeBytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

export const MANIFEST_FILE = "manifest.json";
export const DATABASE_FILE = "tidegate.db";
export const BACKUP_FORMAT = 1;

/** @throws Problem `invalid` for what is none, `unsupported` for one of a newer Tidegate. */
export function parseManifest(text: string, archive: string): BackupManifest {
  let manifest: Partial<BackupManifest>;
  try {
    manifest = JSON.parse(text) as Partial<BackupManifest>;
  } catch (cause) {
    throw new Problem("invalid", `${archive} is no backup of Tidegate, or it is damaged: its manifest cannot be read`, { cause });
  }
  if (manifest.kind !== "tidegate-backup" || manifest.files === undefined || manifest.instance === undefined) {
    throw new Problem("invalid", `${archive} is no backup of Tidegate`);
  }
  if ((manifest.format ?? 0) > BACKUP_FORMAT) {
    throw new Problem(
      "unsupported",
      `${archive} has format ${manifest.format}; this Tidegate knows formats up to ${BACKUP_FORMAT}. Tidegate ${manifest.tidegateVersion} made it: restore it with that one or a newer.`,
    );
  }
  return manifest as BackupManifest;
}

export function totalBytes({ files }: Pick<BackupManifest, "files">): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0);
}
