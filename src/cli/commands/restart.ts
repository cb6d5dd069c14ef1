import { systemClock } from "../../core/clock.ts";
import type { KeptInstance } from "../../core/config.ts";
import { readProc } from "../../host/process.ts";
import { run as runProgram } from "../../host/run.ts";
import { readSuccession, SUCCESSION_SIGNAL, writeSuccession } from "../../host/succession-file.ts";
import { type Command, CommandError } from "../command.ts";
import { handsOver, serverPid } from "../instance-files.ts";
import type { Session } from "../session.ts";
import {
  flagsOf,
  lastFlags,
  lastWords,
  logPathOf,
  sayWhereItServes,
  SERVER_OPTIONS,
  serverCommand,
  type ServerOptions,
  serves,
  startDetached,
} from "../start-server.ts";
import { startUnit } from "../start-unit.ts";
import { activeUnit } from "../systemd.ts";
import { endServer } from "./down.ts";

const TIMEOUT_MS = 120_000;

/** Another process takes over the control plane, with the same flags or with new ones; no request is refused, and what runs goes on. */
export const restart: Command<ServerOptions> = {
  usage: "restart",
  summary: "end the control plane and start it again, without a refused request; with the flags of before, or those given",
  options: SERVER_OPTIONS,
  async run({ options, session }) {
    const instance = await session.instance();
    const given = flagsOf(options);
    const command = serverCommand(session.dataDir, given.length > 0 ? given : await lastFlags(session.dataDir));
    const pid = await serverPid(instance);
    if (pid === undefined) {
      session.output.note("The control plane did not run.");
      const installed = await activeUnit(session.dataDir);
      if (installed !== undefined && given.length === 0) return startUnit(installed, session).then(() => 0 as const);
      return startDetached(session, command);
    }
    const startedMs = systemClock.steadyMs();
    const unit = unitOf(pid);
    if (unit !== undefined) await restartUnit(session, { instance, unit, pid, given });
    else if (await handsOver(instance)) await handOver(session, { instance, pid, command });
    else {
      // One of an earlier version: clients are refused for as long as it takes.
      await endServer(instance, pid);
      return startDetached(session, command);
    }
    session.output.note(`restarted in ${((systemClock.steadyMs() - startedMs) / 1000).toFixed(1)} s`);
    await sayWhereItServes(session);
    return 0;
  },
};

interface Served {
  readonly instance: KeptInstance;
  /** Of the process that serves it. */
  readonly pid: number;
}

async function handOver(session: Session, { instance, pid, command }: Served & { readonly command: readonly string[] }): Promise<void> {
  if (!(await serves(session.dataDir))) throw new CommandError("Tidegate is starting just now; wait until `tidegate status` answers.");
  const logPath = logPathOf(session);
  await writeSuccession(instance.runDir, { command, logPath });
  process.kill(pid, SUCCESSION_SIGNAL);
  await waitForOther(session, { instance, pid });
}

/** systemd would take a successor for a process that was left over. */
async function restartUnit(
  session: Session,
  { instance, unit, pid, given }: Served & { readonly unit: string; readonly given: readonly string[] },
): Promise<void> {
  if (given.length > 0)
    throw new CommandError(`Tidegate is run by ${unit}, which has its flags: \`tidegate install\` with the new ones changes them.`);
  session.output.note(`restarting ${unit} …`);
  await runProgram(["systemctl", "restart", unit], { timeoutMs: TIMEOUT_MS });
  await waitForOther(session, { instance, pid, unit });
}

/** Waits until another process serves. @throws CommandError with why there is none. */
async function waitForOther(session: Session, { instance, pid, unit }: Served & { readonly unit?: string }): Promise<void> {
  const untilMs = systemClock.steadyMs() + TIMEOUT_MS;
  for (;;) {
    const words = async (): Promise<string> => (await lastWords(logPathOf(session))) ?? `its log, ${logPathOf(session)}, is empty`;
    const failed = unit === undefined ? (await readSuccession(instance.runDir))?.failed : undefined;
    if (failed !== undefined) throw new CommandError(`Not restarted, the process before goes on: ${failed}.\n${await words()}`);
    const now = await serverPid(instance);
    if (now === undefined && unit === undefined) throw new CommandError(await words());
    if (now !== undefined && now !== pid && (await serves(session.dataDir))) return;
    if (systemClock.steadyMs() > untilMs) throw new CommandError(`Tidegate does not serve after ${TIMEOUT_MS / 1000} s.\n${await words()}`);
    await systemClock.sleep(20);
  }
}

/** The systemd unit of ours that a process is part of, by its cgroup; any other unit is the shell's or the agent's that started it. */
function unitOf(pid: number): string | undefined {
  return /\/(tidegate[\w@.-]*\.service)$/m.exec(readProc(`/proc/${pid}/cgroup`) ?? "")?.[1];
}
