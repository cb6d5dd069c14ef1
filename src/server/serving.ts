import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { InstanceConfig } from "../core/config.ts";
import { Problem } from "../core/problem.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";

interface ServerFile {
  readonly pid: number;
  readonly startTicks: string;
}

/**
 * Says that this process serves the instance, in `<runDir>/server.json`; one that was killed leaves a file whose process is gone.
 * @throws Problem `conflict` when another process serves it.
 */
export async function claimInstance(config: InstanceConfig): Promise<AsyncDisposable> {
  const path = join(config.runDir, "server.json");
  const text = await readTextIfAny(path);
  const holder = text === undefined ? undefined : (JSON.parse(text) as ServerFile);
  if (holder !== undefined && holder.pid !== process.pid && (await startTicks(holder.pid)) === holder.startTicks) {
    throw new Problem("conflict", `${config.dataDir} is served by process ${holder.pid} already; \`tidegate down\` ends it`);
  }
  const file: ServerFile = { pid: process.pid, startTicks: (await startTicks(process.pid)) ?? "" };
  await writeFileAtomically(path, JSON.stringify(file));
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}

async function startTicks(pid: number): Promise<string | undefined> {
  const stat = await readTextIfAny(`/proc/${pid}/stat`).catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}
