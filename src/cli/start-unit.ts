import { systemClock } from "../core/clock.ts";
import { CommandError } from "./command.ts";
import type { Session } from "./session.ts";
import { sayWhereItServes, serves } from "./start-server.ts";
import { systemctl, type Unit } from "./systemd.ts";

const START_TIMEOUT_MS = 90_000;

/** Has systemd start the instance, and says where it serves. @throws CommandError when it does not, with where to look. */
export async function startUnit(unit: Unit, session: Session): Promise<void> {
  await systemctl("start", unit.name);
  const untilMs = systemClock.steadyMs() + START_TIMEOUT_MS;
  while (!(await serves(session.dataDir))) {
    if (systemClock.steadyMs() > untilMs)
      throw new CommandError(`Tidegate does not serve after ${START_TIMEOUT_MS / 1000} s; \`journalctl -u ${unit.name}\` says why.`);
    await systemClock.sleep(100);
  }
  await sayWhereItServes(session);
}
