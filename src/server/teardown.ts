import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { isProblem, messageOf } from "../core/problem.ts";
import { forgetInstance } from "./first-start.ts";
import { findInstance } from "./instance.ts";
import { openRooms } from "./rooms.ts";
import { closeRooms } from "./server.ts";
import { claimInstance } from "./serving.ts";

/** `down --all [--purge]`: ends all that an instance runs. May be run again after a failure: each room removes what it still finds. */
async function tearDown(dataDir: string, purge: boolean): Promise<void> {
  const config = await findInstance(dataDir);
  if (config === undefined) return;
  await using claim = await claimInstance(config);
  void claim;
  const toolbox = { clock: systemClock, ids: randomIds, logger: silentLogger };
  const rooms = await openRooms(config, toolbox);
  // Where others have its block it does not come up, and has nothing that they could not keep.
  await rooms.network.start().catch((error: unknown) => {
    if (!isProblem(error, "conflict")) throw error;
  });
  await rooms.fargate.removeEverything();
  await rooms.loadBalancers.removeEverything();
  await rooms.cri?.removeEverything({ purge });
  await rooms.network.removeEverything();
  await rooms.supervisor.stopAll();
  await closeRooms(rooms);
  await forgetInstance(config, { purge });
  if (purge) await rm(dataDir, { recursive: true, force: true });
}

const { values } = parseArgs({
  options: { "data-dir": { type: "string", default: "/var/lib/tidegate" }, purge: { type: "boolean", default: false } },
});
tearDown(resolve(values["data-dir"]), values.purge).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`tidegate: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
