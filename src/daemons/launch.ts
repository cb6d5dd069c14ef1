import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readSync, fstatSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DaemonSpec } from "../contracts/daemon.ts";
import { Problem } from "../core/problem.ts";
import { makeDaemonCgroup } from "./daemon-cgroup.ts";
import { MAX_LOG_BYTES } from "../host/bounded-log.ts";
import { startTimeOf } from "../host/process.ts";
import { isInNetns, isMarkedRoot, MARKS } from "./proc.ts";
import type { ProcessIdentity } from "../host/process.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A daemon that this process started. */
export interface Launched extends ProcessIdentity {
  /** Resolves with how it ended, e.g. `exit code 1`, `signal SIGKILL`. */
  readonly exited: Promise<string>;
}

/** Changes when a running daemon no longer is what the spec asks for. */
export function commandHash(spec: DaemonSpec): string {
  const identity = [spec.command, spec.netnsPath ?? "", Object.entries(spec.environment ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))];
  return createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 32);
}

/**
 * Starts the daemon in its own session and cgroup, its output appended to the log file. The pid is the daemon's own: the shell before it, and
 * nsenter, `exec` one another. It gets a small environment of its own, not Tidegate's.
 * @throws Problem `unavailable` when nothing could be started.
 */
export async function launch(instanceId: string, spec: DaemonSpec): Promise<Launched> {
  const cgroupFiles = makeDaemonCgroup(instanceId, spec.name);
  const log = openLog(spec.logFile);
  try {
    const child = spawn("/bin/sh", ["-c", launchScript(cgroupFiles), "sh", ...fullCommand(spec)], {
      detached: true,
      cwd: "/",
      stdio: ["ignore", log, log],
      env: {
        PATH: `${process.env["PATH"] ?? ""}:${DEFAULT_PATH}`,
        ...spec.environment,
        [MARKS.instance]: instanceId,
        [MARKS.daemon]: spec.name,
        [MARKS.commandHash]: commandHash(spec),
      },
    });
    const exited = new Promise<string>((resolve) => {
      child.on("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    await new Promise<void>((resolve, reject) => {
      child.on("spawn", resolve);
      child.on("error", (cause) => reject(new Problem("unavailable", `cannot start daemon ${spec.name}: ${cause.message}`, { cause })));
    });
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startTime: startTimeOf(pid) ?? "gone", exited };
  } finally {
    closeSync(log);
  }
}

/** True once the shell and nsenter before the daemon's own program are done: it is in its cgroup and namespace. */
export function isExecuted(pid: number, spec: DaemonSpec): boolean {
  return isMarkedRoot(pid) && (spec.netnsPath === undefined || isInNetns(pid, spec.netnsPath));
}

function launchScript(cgroupFiles: readonly string[]): string {
  const enter = cgroupFiles.map((file) => `{ echo 0 >'${file}'; } 2>/dev/null || :`);
  return [...enter, `export ${MARKS.pid}=$$`, 'exec "$@"'].join("\n");
}

function fullCommand(spec: DaemonSpec): readonly string[] {
  return spec.netnsPath === undefined ? spec.command : ["nsenter", `--net=${spec.netnsPath}`, "--", ...spec.command];
}

function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, "a", 0o640);
}

/** The last lines of a log file, for an error message. */
export function lastLogLines(path: string, lines = 8): string {
  try {
    const file = openSync(path, "r");
    try {
      const buffer = Buffer.alloc(4096);
      const start = Math.max(0, fstatSync(file).size - buffer.length);
      const length = readSync(file, buffer, 0, buffer.length, start);
      return buffer.toString("utf8", 0, length).trimEnd().split("\n").slice(-lines).join("\n");
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}
