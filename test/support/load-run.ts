import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface LoadFailure {
  /** Since the load's start. */
  readonly atMs: number;
  readonly call: string;
  /** Whether the connection had carried a request before. */
  readonly reused: boolean;
  readonly error: string;
}

export interface SlowAnswer {
  readonly status: number;
  readonly slept: number;
  /** Of the task that answered. */
  readonly ip: string;
  readonly tookMs: number;
}

export interface LoadReport {
  readonly sent: number;
  readonly seconds: number;
  readonly failures: readonly LoadFailure[];
  readonly slow: readonly SlowAnswer[];
  /** How many answers had which `message`: which revision served them. */
  readonly messages: Readonly<Record<string, number>>;
  /** How many answers came from which task's address. */
  readonly tasks: Readonly<Record<string, number>>;
  readonly slowestMs: number;
}

export interface LoadRun extends AsyncDisposable {
  /** Sends one long request beside the others. */
  slow(seconds: number): void;
  /** Waits for what is open. @throws when the load generator itself failed. */
  stop(): Promise<LoadReport>;
}

/** Starts the load generator as a process of its own against an example app's URL. */
export function startLoad(url: string, requestsPerSecond: number): LoadRun {
  const child = spawn(process.execPath, [fileURLToPath(new URL("load.ts", import.meta.url)), url, String(requestsPerSecond)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  return {
    slow: (seconds) => void child.stdin.write(`slow ${seconds}\n`),
    async stop() {
      child.stdin.end("stop\n");
      const code = await ended;
      if (code !== 0) throw new Error(`the load generator ended with ${code}`);
      return JSON.parse(Buffer.concat(chunks).toString()) as LoadReport;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended.catch(() => undefined);
    },
  };
}
