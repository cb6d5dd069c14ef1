import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { run, type RunResult } from "../../src/host/run.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** A whole Tidegate of a test's own, started by the command line as a user starts it. */
export interface TestInstance {
  readonly dataDir: string;
  readonly runDir: string;
  readonly port: number;
  readonly endpoint: string;
  readonly instanceId: string;
  readonly vpcCidr: string;
  /** What `tidegate env` exports. */
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `tidegate …`. */
  cli(args: readonly string[], options?: { readonly okCodes?: readonly number[]; readonly timeoutMs?: number }): Promise<RunResult>;
  /** Runs a client with this instance's environment. */
  client(
    command: readonly string[],
    options?: { readonly stdin?: string; readonly okCodes?: readonly number[]; readonly timeoutMs?: number },
  ): Promise<RunResult>;
  /** `aws … --output json`, parsed. */
  aws<T = unknown>(...args: readonly string[]): Promise<T>;
  /** SIGKILL to the control plane; answers when it is gone. */
  kill(): Promise<void>;
  up(flags?: readonly string[]): Promise<void>;
  /** Ends all and removes the data; asserts nothing. */
  remove(): Promise<void>;
}

export interface WhichInstance {
  /** The checkout whose Tidegate it is; default this one. */
  readonly root?: string;
  /** Default a new one. */
  readonly dataDir?: string;
}

/** Starts an instance, under a new data folder unless told, on a free port and a free CIDR. */
export async function startInstance(flags: readonly string[] = [], which: WhichInstance = {}): Promise<TestInstance> {
  const root = which.root ?? ROOT;
  const dataDir = which.dataDir ?? (await mkdtemp(join(tmpdir(), "tidegate-test-")));
  const cli: TestInstance["cli"] = (args, options = {}) =>
    run([join(root, "tidegate"), "--data-dir", dataDir, ...args], { timeoutMs: options.timeoutMs ?? 300_000, okCodes: options.okCodes ?? [0] });
  const up = async (more: readonly string[] = []): Promise<void> => {
    await cli(["up", "--detach", ...flags, ...more]);
  };
  try {
    await up();
  } catch (error) {
    await cli(["down", "--all", "--purge"]).catch(() => undefined);
    await rm(dataDir, { recursive: true, force: true });
    throw error;
  }
  const kept = JSON.parse(await readFile(join(dataDir, "instance.json"), "utf8")) as {
    port: number;
    instanceId: string;
    vpcCidr: string;
    runDir: string;
  };
  const environment = JSON.parse((await cli(["env", "--json"])).stdout) as Record<string, string>;
  const client: TestInstance["client"] = (command, options = {}) =>
    run(command, { ...options, environment, timeoutMs: options.timeoutMs ?? 120_000 });
  return {
    dataDir,
    ...kept,
    endpoint: `http://localhost:${kept.port}`,
    environment,
    cli,
    client,
    async aws<T>(...args: readonly string[]): Promise<T> {
      const { stdout } = await client(["aws", ...args, "--output", "json"]);
      return (stdout.trim() === "" ? undefined : JSON.parse(stdout)) as T;
    },
    async kill() {
      const { pid } = JSON.parse(await readFile(join(kept.runDir, "server.json"), "utf8")) as { pid: number };
      process.kill(pid, "SIGKILL");
      await until(`process ${pid} is gone`, async () => !(await alive(pid)));
    },
    up,
    async remove() {
      // Where that fails the folder stays: the teardown that is run again needs it.
      await cli(["down", "--all", "--purge"]);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function alive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return stat !== undefined && stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
}

/** Waits for a condition; fails after `timeoutMs` with what was waited for, and the last error the condition threw. */
export async function until<T>(what: string, condition: () => Promise<T | undefined | false>, timeoutMs = 60_000): Promise<T> {
  const untilMs = systemClock.steadyMs() + timeoutMs;
  let last: unknown;
  for (;;) {
    const lookedMs = systemClock.steadyMs();
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    const nowMs = systemClock.steadyMs();
    if (nowMs > untilMs) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`, { cause: last });
    // A look that starts a client costs more than waiting: half of the time is left to what is waited for.
    await systemClock.sleep(Math.min(Math.max(nowMs - lookedMs, 50), 500));
  }
}

/** A detached program of a test (a client that follows, a load); ended with the test. */
export function background(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { readonly output: () => string } & AsyncDisposable {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<void>((done) => child.on("close", () => done()));
  return {
    output: () => Buffer.concat(chunks).toString(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
