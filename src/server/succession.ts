/**
 * A restart without a refused connection. The process that serves starts its successor, which inherits the listening sockets; once that one
 * is loaded, the old one ends as at any other time. Meanwhile clients wait in the sockets' queues.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Clock } from "../core/clock.ts";
import { Problem } from "../core/problem.ts";
import type { InheritedListener, Listener } from "../gateway/listeners.ts";
import { isAlive, type ProcessIdentity, startTimeOf } from "../host/process.ts";
import type { Succession } from "../host/succession-file.ts";

/** What a successor gets of the process before it. */
export interface Heritage {
  readonly predecessor: ProcessIdentity;
  readonly listeners: readonly InheritedListener[];
}

const VARIABLE = "TIDEGATE_HERITAGE";
/** After stdin, stdout, stderr and the channel. */
const FIRST_DESCRIPTOR = 4;
const LOAD_TIMEOUT_MS = 30_000;
const FAREWELL_TIMEOUT_MS = 60_000;
const LOOK_MS = 10;

export interface Successor {
  readonly identity: ProcessIdentity;
  /** Resolves once it waits for this process to end. Rejects with a Problem `unavailable` when it ended before that, or took too long. */
  readonly loaded: Promise<void>;
  /** Ends it, where the process before it is to end for good. */
  end(): void;
}

/** Starts a successor with these sockets. */
export function startSuccessor(
  { command: [program = "", ...args], logPath }: Succession,
  { listeners, clock }: { readonly listeners: readonly Listener[]; readonly clock: Clock },
): Successor {
  const inherited = listeners.flatMap((listener) => {
    const descriptor = listener.fileDescriptor();
    return descriptor === undefined ? [] : [{ host: listener.host, port: listener.port, descriptor }];
  });
  const heritage: Heritage = {
    predecessor: { pid: process.pid, startTime: startTimeOf(process.pid) ?? "" },
    listeners: inherited.map(({ host, port }, index) => ({ host, port, fileDescriptor: FIRST_DESCRIPTOR + index })),
  };
  const log = openSync(logPath, "a");
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", log, log, "ipc", ...inherited.map(({ descriptor }) => descriptor)],
    env: { ...process.env, [VARIABLE]: JSON.stringify(heritage) },
  });
  closeSync(log);
  child.unref();
  const loaded = new Promise<void>((resolve, reject) => {
    const late = clock.setTimer(LOAD_TIMEOUT_MS, () => {
      child.kill("SIGKILL");
      reject(new Problem("unavailable", `the new process has not loaded within ${LOAD_TIMEOUT_MS / 1000} s`));
    });
    const settle = (finish: () => void): void => {
      late[Symbol.dispose]();
      finish();
    };
    child.once("message", () => settle(resolve));
    child.once("error", (cause) => settle(() => reject(new Problem("unavailable", `cannot start ${program}: ${cause.message}`, { cause }))));
    child.once("exit", (code, signal) =>
      settle(() => reject(new Problem("unavailable", `the new process ended with ${signal ?? code} while it loaded`))),
    );
  });
  const pid = child.pid ?? 0;
  return { identity: { pid, startTime: startTimeOf(pid) ?? "" }, loaded, end: () => void child.kill("SIGTERM") };
}

/** What this process has inherited; `undefined` for one that was started by itself. Programs that it starts inherit nothing. */
export function takeHeritage(): Heritage | undefined {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return text === undefined ? undefined : (JSON.parse(text) as Heritage);
}

/** Tells the process before that this one is loaded, and waits until it has ended; however it ends. */
export async function succeed({ predecessor }: Heritage, clock: Clock): Promise<void> {
  process.send?.("loaded", undefined, undefined, () => process.disconnect?.());
  const untilMs = clock.steadyMs() + FAREWELL_TIMEOUT_MS;
  // One that does not end is named when the instance is claimed.
  while (isAlive(predecessor) && clock.steadyMs() < untilMs) await clock.sleep(LOOK_MS);
}

/** Closes the sockets that nobody has taken: of another port, or of a VPC that is gone. */
export function closeUntaken(heritage: Heritage, taken: readonly Listener[]): void {
  for (const { host, port, fileDescriptor } of heritage.listeners) {
    if (!taken.some((listener) => listener.host === host && listener.port === port)) closeSync(fileDescriptor);
  }
}
