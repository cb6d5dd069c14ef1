import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Problem } from "../core/problem.ts";
import { DISK_ADVICE } from "../host/disk-guard.ts";

export interface StreamOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** What it is called in errors; default the program and its first argument. */
  readonly name?: string;
  /** Ends it with SIGTERM. */
  readonly signal?: AbortSignal;
  readonly onLine: (line: string) => void;
}

const KEPT_LINES = 30;
const FULL = /no space left on device|disk quota exceeded/i;

/** A program that failed, with what it wrote last. */
export class CommandFailed extends Problem {
  /** In one line, e.g. `buildah build failed (exit code 1)`. */
  readonly summary: string;
  /** What to do, on a line of its own, where the last lines tell; else empty. */
  readonly advice: string;

  constructor(summary: string, lastLines: readonly string[]) {
    const advice = FULL.test(lastLines.join("\n")) ? `\nThe disk is full. ${DISK_ADVICE}` : "";
    super("unavailable", `${summary}. Its last lines:\n${lastLines.join("\n")}${advice}`);
    this.summary = summary;
    this.advice = advice;
  }
}

/**
 * Runs a program, handing on each line of its stdout and stderr as it comes.
 * @throws CommandFailed when it does not end with 0.
 */
export function streamCommand(command: readonly string[], options: StreamOptions): Promise<void> {
  const [program = "", ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: options.cwd, env: { ...process.env, ...options.environment }, stdio: ["pipe", "pipe", "pipe"] });
    const last: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        last.push(line);
        if (last.length > KEPT_LINES) last.shift();
        options.onLine(line);
      });
    }
    options.signal?.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    child.on("error", (cause) => reject(new Problem("unavailable", `cannot run ${program}: ${cause.message}`, { cause })));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve();
      const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
      reject(new CommandFailed(`${options.name ?? `${program} ${args[0] ?? ""}`} failed (${end})`, last));
    });
  });
}
