import type { Command } from "../command.ts";
import { readHealth } from "../health-answer.ts";
import { serverPid } from "../instance-files.ts";

/** Whether all is well, and if not, what is not. */
export const status: Command<{ readonly json?: boolean }> = {
  usage: "status",
  summary: "whether all is well; exit code 0 only then",
  options: [["--json", "as JSON"]],
  async run({ session }) {
    const instance = await session.instance();
    const pid = await serverPid(instance);
    if (pid === undefined) {
      if (session.json) session.output.json({ status: "down", dataDir: session.dataDir });
      else
        session.output.line(
          `${session.output.style("red", "down")}: the control plane does not run. \`tidegate up --detach\` starts it; what runs is untouched.`,
        );
      return 3;
    }
    const health = await readHealth(instance);
    if (session.json) session.output.json({ ...health, pid, endpoint: `http://localhost:${instance.port}`, dataDir: session.dataDir });
    else {
      const word = session.output.style(health.status === "ok" ? "green" : "red", health.status);
      session.output.line(`${word}  http://localhost:${instance.port}  pid ${pid}  ${session.dataDir}`);
      session.output.table(
        ["", "CHECK", "DETAIL"],
        health.checks.map((check) => [check.ok ? "ok" : "BAD", check.name, check.detail]),
      );
    }
    return health.status === "ok" ? 0 : 1;
  },
};
