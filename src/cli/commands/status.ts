import type { Command } from "../command.ts";
import { serverPid } from "../instance-files.ts";

/** What `/healthz` answers. */
interface HealthAnswer {
  readonly status: "ok" | "unhealthy";
  readonly version: string;
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
}

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
    const response = await fetch(`http://127.0.0.1:${instance.port}/healthz`);
    const health = (await response.json()) as HealthAnswer;
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
