import { resolve } from "node:path";
import type { Command } from "../command.ts";
import { runServerProgram } from "../server-program.ts";

/** State, images and logs in one file; the server may run meanwhile. */
export const backup: Command = {
  usage: "backup <file-or-folder>",
  summary: "state, images and logs in one file, checked; the server may run meanwhile",
  options: [],
  async run({ arguments: [target = "."], session }) {
    await session.instance();
    await runServerProgram("backup", ["--data-dir", session.dataDir, "--to", resolve(target)], "no backup was made");
  },
};
