import { join } from "node:path";
import { removeBuilderState } from "../../builder/storage.ts";
import { systemClock } from "../../core/clock.ts";
import type { KeptInstance } from "../../core/config.ts";
import { type Command, CommandError } from "../command.ts";
import { readInstance, serverPid } from "../instance-files.ts";
import { runServerProgram } from "../server-program.ts";
import { installedUnit, removeUnit, runsSystemd, systemctl } from "../systemd.ts";

const STOP_TIMEOUT_MS = 60_000;

/** Ends the control plane; what runs goes on. `--all` ends that too, `--purge` leaves nothing. */
export const down: Command<{ readonly all?: boolean; readonly purge?: boolean }> = {
  usage: "down",
  summary: "end the control plane (what runs goes on)",
  options: [
    ["--all", "also end all tasks, load balancers, networks and daemons"],
    ["--purge", "with --all: remove the data folder too"],
  ],
  async run({ options, session }) {
    if (options.purge === true && options.all !== true)
      throw new CommandError("--purge goes with --all: it removes what runs, and then the data.", 2);
    const instance = await readInstance(session.dataDir);
    const unit = await installedUnit(session.dataDir);
    if (instance === undefined) {
      if (options.purge === true && unit !== undefined) await removeUnit(unit);
      return session.output.line(`There is no Tidegate under ${session.dataDir}: nothing to end.`);
    }
    const pid = await serverPid(instance);
    // systemd would start again what somebody else ends.
    if (unit !== undefined && runsSystemd()) await systemctl("stop", unit.name);
    if (pid === undefined) session.output.line("The control plane does not run.");
    else {
      await endServer(instance, pid);
      session.output.line("The control plane has ended.");
    }
    if (unit !== undefined && options.purge !== true)
      session.output.line(`${unit.name} starts it again at the next boot; \`tidegate uninstall\` removes the unit.`);
    if (options.all !== true) return;
    session.output.line("Ending tasks, load balancers, networks and daemons …");
    if (options.purge === true) await removeBuilderState(join(session.dataDir, "builder"));
    await runServerProgram(
      "teardown",
      ["--data-dir", session.dataDir, ...(options.purge === true ? ["--purge"] : [])],
      "the teardown did not come to its end; run it again, it goes on where it stopped",
    );
    if (options.purge === true && unit !== undefined) await removeUnit(unit);
    session.output.line(
      options.purge === true ? `All is gone, ${session.dataDir} too.` : `All has ended. ${session.dataDir} keeps images, records and logs.`,
    );
  },
};

/** Ends the process that serves the instance. @throws CommandError when it does not end. */
export async function endServer(instance: KeptInstance, pid: number): Promise<void> {
  if ((await serverPid(instance)) === pid) process.kill(pid, "SIGTERM");
  const untilMs = systemClock.steadyMs() + STOP_TIMEOUT_MS;
  while ((await serverPid(instance)) !== undefined) {
    if (systemClock.steadyMs() > untilMs) throw new CommandError(`process ${pid} has not ended within ${STOP_TIMEOUT_MS / 1000} s; its log says why`);
    await systemClock.sleep(100);
  }
}
