import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PulsePart } from "./pulse.ts";

/** A client at an even pace, in the network namespace of a process. See `pulse.ts`. */
export interface PulseRun extends AsyncDisposable {
  /** Ends the part since the call before, and answers how its requests went. */
  part(name: string): Promise<PulsePart>;
}

export function startPulse(url: string, options: { readonly perSecond: number; readonly inNamespaceOf: number }): PulseRun {
  const script = fileURLToPath(new URL("pulse.ts", import.meta.url));
  const enter = ["--target", String(options.inNamespaceOf), "--net"];
  const child = spawn("nsenter", [...enter, process.execPath, script, url, String(options.perSecond)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.on("error", () => {});
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  return {
    async part(name) {
      child.stdin.write(`${name}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error("the client has ended");
      return JSON.parse(value) as PulsePart;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
