import { readdir, readFile } from "node:fs/promises";
import type { StatusReport } from "../core/status-report.ts";
import { inWords, type DiskGuard } from "../host/disk-guard.ts";

type HostCheck = StatusReport["checks"][number];

/** More of its descriptors than this in use, and a process is about to run out of them. */
const WORRYING_SHARE = 0.9;

/** What of the host Tidegate may run out of, in words. What cannot be read is no reason to worry anyone. */
export async function checkHost(disk: DiskGuard): Promise<readonly HostCheck[]> {
  const checks = await Promise.allSettled([checkDisk(disk), checkDescriptors()]);
  return checks.flatMap((check) => (check.status === "fulfilled" ? [check.value] : []));
}

async function checkDisk(disk: DiskGuard): Promise<HostCheck> {
  const space = await disk.space();
  const ok = space.freeBytes >= disk.reserveOf(space);
  const detail = ok
    ? `${inWords(space.freeBytes)} of ${inWords(space.totalBytes)} free`
    : `pushes, pulls and builds are refused: ${disk.describe(space)}`;
  return { name: "disk", ok, detail };
}

async function checkDescriptors(): Promise<HostCheck> {
  const name = "open files";
  try {
    const [open, limits] = await Promise.all([readdir("/proc/self/fd"), readFile("/proc/self/limits", "utf8")]);
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
    const ok = open.length < limit * WORRYING_SHARE;
    return { name, ok, detail: `${open.length} of ${limit} descriptors in use${ok ? "" : ": more connections will be refused"}` };
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code !== "EMFILE" && code !== "ENFILE") throw error;
    return { name, ok: false, detail: `no descriptor is left (${code}): connections are refused` };
  }
}
