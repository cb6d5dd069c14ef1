import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { InstanceConfig } from "../core/config.ts";
import { Problem } from "../core/problem.ts";
import { exclusively } from "../host/exclusively.ts";
import { readTextIfAny, writeFileAtomically } from "../host/files.ts";
import { isAlive, type ProcessIdentity, startTimeOf } from "../host/process.ts";

/** What `<runDir>/server.json` says. */
interface ServingProcess extends ProcessIdentity {
  /** It knows how to start its successor; versions that do not say so do not. */
  readonly handsOver: true;
}

/**
 * Says that this process serves the instance, in `<runDir>/server.json`; one that was killed leaves a file whose process is gone.
 * @throws Problem `conflict` when another process serves it.
 */
export async function claimInstance(config: Pick<InstanceConfig, "runDir" | "dataDir">): Promise<AsyncDisposable> {
  const path = join(config.runDir, "server.json");
  await mkdir(config.runDir, { recursive: true });
  // Two that are started at once must not both find nobody.
  await exclusively(config.runDir, async () => {
    const text = await readTextIfAny(path);
    const holder = text === undefined ? undefined : (JSON.parse(text) as ProcessIdentity);
    if (holder !== undefined && holder.pid !== process.pid && isAlive(holder)) {
      throw new Problem("conflict", `${config.dataDir} is served by process ${holder.pid} already; \`tidegate down\` ends it`);
    }
    const file: ServingProcess = { pid: process.pid, startTime: startTimeOf(process.pid) ?? "", handsOver: true };
    await writeFileAtomically(path, JSON.stringify(file));
  });
  return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
}
