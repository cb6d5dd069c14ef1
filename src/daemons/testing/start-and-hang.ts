/** For the supervisor's tests: starts one daemon, prints its pid, and waits to be killed. Arguments: instance id, run folder. */
import { join } from "node:path";
import { systemClock } from "../../core/clock.ts";
import { silentLogger } from "../../core/logger.ts";
import { createDaemonSupervisor } from "../supervisor.ts";

const [instanceId = "", runDir = ""] = process.argv.slice(2);
const supervisor = await createDaemonSupervisor({ config: { instanceId, runDir }, clock: systemClock, logger: silentLogger });
const daemon = await supervisor.ensure({
  name: "orphan",
  command: ["/bin/sleep", "1000"],
  logFile: join(runDir, "orphan.log"),
  ready: async () => true,
  readyTimeoutMs: 20_000,
});
process.stdout.write(`${daemon.pid()}\n`);
await systemClock.sleep(600_000);
