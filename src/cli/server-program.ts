import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeCommand } from "../host/node-command.ts";
import { CommandError } from "./command.ts";

const PROGRAMS = {
  teardown: new URL("../server/teardown.ts", import.meta.url),
  backup: new URL("../server/backup.ts", import.meta.url),
  restore: new URL("../server/restore.ts", import.meta.url),
  "support-bundle": new URL("../server/support-bundle.ts", import.meta.url),
};

/** Runs one of `server`'s programs to its end, its output being the command's. @throws CommandError when it fails; it has said why. */
export function runServerProgram(name: keyof typeof PROGRAMS, args: readonly string[], failed: string): Promise<void> {
  const [node, ...rest] = nodeCommand(fileURLToPath(PROGRAMS[name]), args);
  return new Promise((resolve, reject) => {
    const child = spawn(node, rest, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new CommandError(failed))));
  });
}
