import { resolve } from "node:path";
import { writeFileAtomically } from "../../host/files.ts";
import { type Command, CommandError } from "../command.ts";
import { readInstance, serverPid } from "../instance-files.ts";
import { flagsOf, SERVER_OPTIONS, serverCommand, type ServerOptions } from "../start-server.ts";
import { startUnit } from "../start-unit.ts";
import { runsSystemd, systemctl, unitOf, unitText } from "../systemd.ts";
import { endServer } from "./down.ts";

const CHECKOUT = resolve(import.meta.dirname, "../../..");

/** Has systemd start this instance at each boot, and again whenever it ends. */
export const install: Command<ServerOptions & { readonly print?: boolean }> = {
  usage: "install",
  summary: "have systemd start this instance at each boot, with these flags",
  options: [["--print", "only print the unit"], ...SERVER_OPTIONS],
  async run({ options, session }) {
    const dataDir = resolve(session.dataDir);
    const unit = unitOf(dataDir);
    const text = unitText({ dataDir, checkout: CHECKOUT, command: serverCommand(dataDir, flagsOf(options)) });
    if (options.print === true) return session.output.line(text.trimEnd());
    if (!runsSystemd()) {
      throw new CommandError(
        `This machine does not run systemd (there is no /run/systemd/system): nothing was written. Have its own init run, as root and at each boot: ` +
          `${CHECKOUT}/tidegate --data-dir ${dataDir} up. \`tidegate install --print\` prints the unit for another machine.`,
      );
    }
    if (process.getuid?.() !== 0) throw new CommandError("Only root may install a unit: sudo tidegate install.");
    await writeFileAtomically(unit.path, text);
    await systemctl("daemon-reload");
    await systemctl("enable", unit.name);
    const before = await readInstance(dataDir);
    // One that somebody has started by hand makes room; what it runs goes on.
    await systemctl("stop", unit.name);
    const pid = before === undefined ? undefined : await serverPid(before);
    if (before !== undefined && pid !== undefined) await endServer(before, pid);
    await startUnit(unit, session);
    session.output.line(`${unit.path} is installed: so it is from each boot on.`);
    session.output.line(`Its log: journalctl -u ${unit.name}. \`tidegate install\` again changes its flags, \`tidegate uninstall\` removes it.`);
  },
};
