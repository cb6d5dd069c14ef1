import { readdirSync, statSync } from "node:fs";
import { isAlive, type ProcessIdentity, readProc, startTimeOf } from "../host/process.ts";

/** A daemon's root process, as the marks in its environment tell it. */
export interface MarkedProcess extends ProcessIdentity {
  readonly daemon: string;
  readonly commandHash: string;
}

/** Environment variables that every daemon carries, so that one nobody recorded can be found. Children inherit them; `pid` tells the root. */
export const MARKS = {
  instance: "TIDEGATE_INSTANCE",
  daemon: "TIDEGATE_DAEMON",
  commandHash: "TIDEGATE_DAEMON_COMMAND",
  pid: "TIDEGATE_DAEMON_PID",
} as const;

/** Sends a signal to this very process; nothing happens when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** True when the process lives in the network namespace at `netnsPath`. */
export function isInNetns(pid: number, netnsPath: string): boolean {
  try {
    const own = statSync(`/proc/${pid}/ns/net`);
    const wanted = statSync(netnsPath);
    return own.ino === wanted.ino && own.dev === wanted.dev;
  } catch {
    return false;
  }
}

/** True when the process carries the mark of a daemon's root. */
export function isMarkedRoot(pid: number): boolean {
  return readProc(`/proc/${pid}/environ`)?.includes(`${MARKS.pid}=${pid}\0`) ?? false;
}

/** All daemons of an instance that run now, or are just being started, by the marks in `/proc/<pid>/environ`. */
export function findMarkedProcesses(instanceId: string): readonly MarkedProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readMarks(Number(name), instanceId) ?? []);
}

function readMarks(pid: number, instanceId: string): MarkedProcess | undefined {
  const text = readProc(`/proc/${pid}/environ`);
  if (text === undefined || !text.includes(`${MARKS.instance}=${instanceId}`)) return undefined;
  const variables = new Map(
    text.split("\0").map((entry) => {
      const equals = entry.indexOf("=");
      return [entry.slice(0, equals), entry.slice(equals + 1)] as const;
    }),
  );
  const daemon = variables.get(MARKS.daemon);
  const commandHash = variables.get(MARKS.commandHash);
  // Without a pid it is the shell that becomes the daemon: what it starts has one.
  const root = variables.get(MARKS.pid) ?? String(pid);
  if (variables.get(MARKS.instance) !== instanceId || root !== String(pid)) return undefined;
  const startTime = startTimeOf(pid);
  if (daemon === undefined || commandHash === undefined || startTime === undefined) return undefined;
  return { pid, startTime, daemon, commandHash };
}
