import type { Command } from "../command.ts";
import { installedUnit, removeUnit, unitOf } from "../systemd.ts";

/** The opposite of `install`: ends the control plane and removes the unit; what runs goes on. */
export const uninstall: Command = {
  usage: "uninstall",
  summary: "remove what `install` has made (what runs goes on)",
  options: [],
  async run({ session }) {
    const unit = await installedUnit(session.dataDir);
    if (unit === undefined) return session.output.line(`There is no ${unitOf(session.dataDir).path}: nothing to remove.`);
    await removeUnit(unit);
    session.output.line(`${unit.name} is removed, and the control plane has ended. What runs goes on; \`tidegate up --detach\` adopts it.`);
  },
};
