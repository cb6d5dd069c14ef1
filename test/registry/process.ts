import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** A registry in a process of its own. */
export interface RegistryProcess extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly url: string;
  readonly password: string;
  readonly authorization: string;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** The most memory it ever had resident. */
  peakMemoryMiB(): number;
}

/** Starts `serve.ts` over `folder` with the repositories made. */
export async function startRegistryProcess(folder: string, repositories: readonly string[]): Promise<RegistryProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "serve.ts"), folder, ...repositories], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const [line] = (await Promise.race([once(createInterface(child.stdout), "line"), ended.then(() => ["{}"])])) as [string];
  const { port, password, authorization } = JSON.parse(line) as { readonly port?: number; readonly password: string; readonly authorization: string };
  if (port === undefined) throw new Error("the registry process ended before it listened");
  const kill = (): Promise<void> => end(child, ended);
  return {
    pid: child.pid ?? 0,
    port,
    url: `http://127.0.0.1:${port}`,
    password,
    authorization,
    kill,
    peakMemoryMiB: () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    [Symbol.asyncDispose]: kill,
  };
}

async function end(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill("SIGKILL");
  await ended;
}
