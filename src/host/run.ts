import { spawn } from "node:child_process";
import { Problem } from "../core/problem.ts";

export interface RunOptions {
  /** Written to its standard input. */
  readonly stdin?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Killed after this; default 30 s. */
  readonly timeoutMs?: number;
  /** Exit codes that are no failure; default only 0. */
  readonly okCodes?: readonly number[];
  /** Kills it when aborted. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and answers what it printed.
 * @throws Problem `unavailable` when it cannot be started, is killed, times out, or ends with another code; the message has the command and its last words.
 */
export function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.environment === undefined ? process.env : { ...process.env, ...options.environment },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: options.timeoutMs ?? 30_000,
      killSignal: "SIGKILL",
      signal: options.signal,
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    child.on("exit", () => {
      // What it has started itself may live on and hold its output open: nobody waits for those.
      if (child.killed) for (const stream of [child.stdout, child.stderr]) stream.destroy();
    });
    child.on("error", (cause) => reject(new Problem("unavailable", `cannot run ${program}: ${cause.message}`, { cause })));
    child.on("close", (code, signal) => {
      const result = { code: code ?? -1, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
      if (code !== null && (options.okCodes ?? [0]).includes(code)) return resolve(result);
      const words = (result.stderr || result.stdout).trim().split("\n").slice(-5).join("\n");
      const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
      reject(new Problem("unavailable", `${command.slice(0, 6).join(" ")} failed (${end}): ${words}`));
    });
  });
}
