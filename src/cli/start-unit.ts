import { systemClock } from "../core/clock.ts";
import { CommandError } from "./command.ts";
import type { Session } from "./session.ts";
import { sayWhereItServes, serves } from "./start-server.ts";
import { systemctl, type Unit } from "./systemd.ts";
import { finalRefusal, hasFailed, journalSince, readRefusals } from "./unit-refusals.ts";

const START_TIMEOUT_MS = 90_000;
const LOOK_EVERY_MS = 2_000;

/** Has systemd start the instance, and says where it serves. @throws CommandError when it does not, with its last words or where to look. */
export async function startUnit(unit: Unit, session: Session): Promise<void> {
  const sinceSeconds = Math.floor(systemClock.nowMs() / 1000);
  await systemctl("start", unit.name);
  const untilMs = systemClock.steadyMs() + START_TIMEOUT_MS;
  let lookMs = systemClock.steadyMs() + LOOK_EVERY_MS;
  while (!(await serves(session.dataDir))) {
    const nowMs = systemClock.steadyMs();
    if (nowMs >= lookMs) {
      await refuse(unit, sinceSeconds, nowMs > untilMs);
      lookMs = systemClock.steadyMs() + LOOK_EVERY_MS;
    }
    await systemClock.sleep(100);
  }
  await sayWhereItServes(session);
}

/** @throws CommandError when it is clear that it does not start, or when `late`. */
async function refuse(unit: Unit, sinceSeconds: number, late: boolean): Promise<void> {
  const failed = await hasFailed(unit);
  const refusals = readRefusals(await journalSince(unit, sinceSeconds));
  const words = finalRefusal(refusals, failed || late);
  const log = `\`journalctl -u ${unit.name}\``;
  if (words !== undefined)
    throw new CommandError(`${words}\n(${failed ? "systemd does not try again" : "systemd tries again every 3 s"}; its log: ${log})`);
  if (failed) throw new CommandError(`Tidegate ended while starting; ${log} says why.`);
  if (late) throw new CommandError(`Tidegate does not serve after ${START_TIMEOUT_MS / 1000} s; ${log} says why.`);
}
