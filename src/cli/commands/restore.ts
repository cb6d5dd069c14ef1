import { resolve } from "node:path";
import { type Command, UsageError } from "../command.ts";
import { runServerProgram } from "../server-program.ts";

/** Makes an instance of a backup, here or on another machine. */
export const restore: Command<{ readonly replace?: boolean; readonly port?: string }> = {
  usage: "restore <file>",
  summary: "make an instance of a backup, in an empty data folder",
  options: [
    ["--port <port>", "of the one listener (default the backup's, or the next free one)"],
    ["--replace", "take the place of an instance that was taken down; what it holds is lost"],
  ],
  async run({ arguments: [file = ""], options, session }) {
    const port = options.port === undefined ? undefined : Number(options.port);
    if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
      throw new UsageError(`--port takes a port from 1 to 65535, not "${options.port}"`);
    }
    const flags = [...(options.replace === true ? ["--replace"] : []), ...(port === undefined ? [] : ["--port", String(port)])];
    await runServerProgram("restore", ["--data-dir", session.dataDir, "--from", resolve(file), ...flags], "nothing was restored");
  },
};
