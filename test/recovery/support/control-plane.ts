/** The control plane of a test's instance as a process of the test's own, so that it can be killed at any moment, its start included. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { readTextIfAny } from "../../../src/host/files.ts";
import { nodeCommand } from "../../../src/host/node-command.ts";
import { isAlive, startTimeOf, type ProcessIdentity } from "../../../src/host/process.ts";
import { until, type TestInstance } from "../../support/instance.ts";
import type { Alteration } from "./altered-source.ts";

const MAIN = resolve(import.meta.dirname, "../../../src/server/main.ts");
const ALTERED = fileURLToPath(new URL("altered-source.ts", import.meta.url));

export interface ControlPlane {
  /** Starts the process, with its source changed as told and these variables beside its own; does not wait. */
  spawn(alterations?: readonly Alteration[], environment?: Readonly<Record<string, string>>): void;
  /** Resolves when it serves. @throws when it ended instead, with the last lines of its log. */
  serving(): Promise<void>;
  /** SIGKILL; answers when it is gone. */
  kill(): Promise<void>;
}

/** Takes over from the one that the instance runs: its first kill ends that. */
export function controlPlaneOf(instance: Pick<TestInstance, "dataDir" | "port" | "kill">, always: readonly Alteration[] = []): ControlPlane {
  let running: (ProcessIdentity & { readonly exited: () => boolean }) | undefined;
  const log = join(instance.dataDir, "tidegate.log");
  return {
    spawn(more = [], environment = {}) {
      const alterations = [...always, ...more];
      const output = openSync(log, "a");
      const altering = alterations.length === 0 ? [] : ["--import", ALTERED];
      const [node, ...args] = nodeCommand(MAIN, ["--data-dir", instance.dataDir]);
      const child = spawn(node, [...altering, ...args], {
        detached: true,
        stdio: ["ignore", output, output],
        env: { ...process.env, ...environment, TIDEGATE_TEST_ALTERATIONS: JSON.stringify(alterations) },
      });
      closeSync(output);
      child.unref();
      let exited = false;
      child.on("exit", () => (exited = true));
      const pid = child.pid ?? 0;
      running = { pid, startTime: startTimeOf(pid) ?? "", exited: () => exited };
    },
    async serving() {
      const started = running;
      await until(
        "the control plane serves",
        async () => {
          if (started?.exited() === true) return true;
          const response = await fetch(`http://127.0.0.1:${instance.port}/healthz`);
          return ((await response.json()) as { readonly serving?: boolean }).serving === true;
        },
        90_000,
      );
      if (started?.exited() !== true) return;
      throw new Error(`the control plane ended while starting:\n${((await readTextIfAny(log)) ?? "").trimEnd().split("\n").slice(-12).join("\n")}`);
    },
    async kill() {
      if (running === undefined) return await instance.kill();
      const { pid } = running;
      // A zombie until this process has seen its end: it holds nothing.
      if (isAlive(running)) process.kill(pid, "SIGKILL");
      const gone = running;
      await until(`process ${pid} is gone`, async () => !isAlive(gone));
    },
  };
}
