import { basename, dirname } from "node:path";
import type { DiskUsage } from "../contracts/container-runtime.ts";
import { run } from "../host/run.ts";

const TIMEOUT_MS = 300_000;

/**
 * What each folder right in `parent` takes on disk, by its name; empty where there is no such parent. By `du`, which survives paths of any
 * depth and files that go meanwhile, keeps out of the event loop, and gives way to everybody else.
 * @throws Problem `unavailable`, also when it is aborted.
 */
export async function folderUsage(parent: string, signal?: AbortSignal): Promise<ReadonlyMap<string, DiskUsage>> {
  const [bytes, inodes] = await Promise.all([du(parent, "--block-size=1", signal), du(parent, "--inodes", signal)]);
  return new Map([...bytes].map(([name, size]) => [name, { bytes: size, inodes: inodes.get(name) ?? 0 }]));
}

async function du(parent: string, unit: string, signal: AbortSignal | undefined): Promise<ReadonlyMap<string, number>> {
  // Ends with 1 when a file was gone before it could be counted, or all of it.
  const command = ["nice", "-n", "19", "du", unit, "--max-depth=1", "--one-file-system", "--", parent];
  const { stdout } = await run(command, { okCodes: [0, 1], timeoutMs: TIMEOUT_MS, signal });
  const lines = stdout.split("\n").map((line) => /^(\d+)\t(.+)$/.exec(line));
  return new Map(
    lines.flatMap((match) => (match !== null && dirname(match[2] ?? "") === parent ? [[basename(match[2] ?? ""), Number(match[1])]] : [])),
  );
}
