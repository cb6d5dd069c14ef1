import { spawn } from "node:child_process";
import { holderOfPort } from "../../host/listeners.ts";
import { type Command, CommandError } from "../command.ts";
import { readInstance, serverPid } from "../instance-files.ts";
import { flagsOf, lastFlags, SERVER_OPTIONS, serverCommand, type ServerOptions, startDetached } from "../start-server.ts";
import { startUnit } from "../start-unit.ts";
import { activeUnit } from "../systemd.ts";

const DEFAULT_PORT = 4566;

/** Starts the control plane: in the foreground, or with `--detach` in the background once it serves. */
export const up: Command<ServerOptions & { readonly detach?: boolean }> = {
  usage: "up",
  summary: "start Tidegate",
  options: [["--detach", "in the background; returns when it serves"], ...SERVER_OPTIONS],
  async run({ options, session }) {
    const instance = await readInstance(session.dataDir);
    const pid = instance === undefined ? undefined : await serverPid(instance);
    if (pid !== undefined) {
      session.output.line(`Tidegate runs already: http://localhost:${instance?.port} (pid ${pid}, ${session.dataDir}).`);
      return 0;
    }
    const flags = flagsOf(options);
    const unit = await activeUnit(session.dataDir);
    if (unit !== undefined) {
      if (options.detach !== true || flags.length > 0)
        throw new CommandError(`systemd runs this instance (${unit.name}): \`up --detach\` starts it, \`install\` changes its flags.`, 2);
      await startUnit(unit, session);
      return 0;
    }
    const before = await lastFlags(session.dataDir);
    if (flags.length === 0 && before.length > 0)
      session.output.note(`note: the start before had ${before.join(" ")}; this one has not. \`tidegate restart\` starts as before.`);
    const command = serverCommand(session.dataDir, flags);
    const holder = instance === undefined && options.port === undefined ? holderOfPort("127.0.0.1", DEFAULT_PORT) : undefined;
    if (holder !== undefined) session.output.note(`Port ${DEFAULT_PORT} is taken by ${holder}: the next free one is used, and kept.`);
    return options.detach === true ? startDetached(session, command) : runInForeground(command);
  },
};

function runInForeground([program = "", ...args]: readonly string[]): Promise<0 | 1 | 2> {
  const child = spawn(program, args, { stdio: "inherit" });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code === 0 || code === 2 ? code : 1));
  });
}
