import type { StatusReport } from "../../core/status-report.ts";
import type { Command } from "../command.ts";
import { serverPid } from "../instance-files.ts";
import type { Output } from "../output.ts";

/** Whether all is well, and if not: what is not, why, and what to do. */
export const status: Command<{ readonly json?: boolean }> = {
  usage: "status",
  summary: "whether all is well; exit code 0 only then, 1 when something is not, 3 when the control plane is down",
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
    const report = await session.own<StatusReport>("status");
    if (report === undefined) throw new Error("an older Tidegate serves this instance: restart it with this version");
    const endpoint = `http://localhost:${instance.port}`;
    if (session.json) session.output.json({ ...report, pid, endpoint, dataDir: session.dataDir });
    else {
      const word = session.output.style(report.status === "ok" ? "green" : "red", report.status);
      session.output.line(`${word}  ${endpoint}  pid ${pid}  ${session.dataDir}`);
      show(session.output, report);
    }
    return report.status === "ok" ? 0 : 1;
  },
};

function show(output: Output, { checks, problems }: StatusReport): void {
  output.table(
    ["", "CHECK", "DETAIL"],
    checks.map((check) => [check.ok ? "ok" : "BAD", check.name, check.detail]),
  );
  for (const { subject, what, todo } of problems) {
    output.line();
    output.line(`${output.style("red", subject)}: ${what}`);
    output.line(`    ${todo}`);
  }
}
