import { mkdir, open, rm, stat } from "node:fs/promises";
import type { Logger } from "../../core/logger.ts";
import { Problem } from "../../core/problem.ts";
import { findShims } from "./cleanup.ts";
import type { ContainerdPaths } from "./containerd-config.ts";

/** What bbolt, in which containerd keeps what images, snapshots and containers there are, says of a file that is damaged; or dies with. */
const DAMAGE = /file size too small|invalid database|checksum error|version mismatch|unexpected fault address|go\.etcd\.io\/bbolt\.\S+/;

/** The words of containerd's log that say that its database is damaged; `undefined` when it has none. Pure. */
export function damageIn(log: string): string | undefined {
  return DAMAGE.exec(log)?.[0];
}

export interface Damageable {
  readonly paths: Pick<ContainerdPaths, "root" | "socket" | "logFile">;
  readonly logger: Logger;
}

/**
 * Starts containerd by `start`, and once more with an empty root when its database turns out to be damaged: nothing in it is the only copy
 * of anything, images are pulled again from the registry. Where containers run, which an empty containerd would lose, it is left alone.
 * @throws Problem `unavailable` with what to do when containers run; else what `start` throws.
 */
export async function renewIfDamaged<T>({ paths, logger }: Damageable, start: () => Promise<T>): Promise<T> {
  const loggedBefore = await stat(paths.logFile).then(
    (info) => info.size,
    () => 0,
  );
  try {
    return await start();
  } catch (cause) {
    const damage = damageIn(await textFrom(paths.logFile, loggedBefore));
    if (damage === undefined) throw cause;
    const shims = await findShims(paths);
    if (shims.length > 0) {
      throw new Problem(
        "unavailable",
        `containerd cannot read its database in ${paths.root} ("${damage}"), and ${shims.length} sandboxes still run that it would lose. ` +
          `They go on for now. Reboot, or end their shims (kill ${shims.slice(0, 8).join(" ")}${shims.length > 8 ? " …" : ""}); then start Tidegate again: ` +
          "containerd begins anew, images are pulled again and services start their tasks.",
        { cause },
      );
    }
    logger.error("containerd's database is damaged: it begins anew, and images are pulled again", { root: paths.root, damage });
    await rm(paths.root, { recursive: true, force: true });
    await mkdir(paths.root, { recursive: true, mode: 0o711 });
    return start();
  }
}

async function textFrom(path: string, position: number): Promise<string> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(0, size - position)), 0, Math.max(0, size - position), position);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
