import { resolve } from "node:path";
import type { Command } from "../command.ts";
import { runServerProgram } from "../server-program.ts";

/** What somebody needs who looks for a fault from afar, without secrets. */
export const supportBundle: Command = {
  usage: "support-bundle [file-or-folder]",
  summary: "versions, status, records, logs of the daemons and kernel lists in one archive, without secrets",
  options: [],
  async run({ arguments: [target = "."], session }) {
    await session.instance();
    await runServerProgram("support-bundle", ["--data-dir", session.dataDir, "--to", resolve(target)], "no support bundle was made");
  },
};
