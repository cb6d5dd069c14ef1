import { run as runProgram } from "../../host/run.ts";
import type { Command } from "../command.ts";

/** Prints the exports that make AWS's own tools talk to this instance. */
export const env: Command<{ readonly json?: boolean }> = {
  usage: "env",
  summary: 'exports for AWS tools: eval "$(tidegate env)"',
  options: [["--json", "as JSON"]],
  async run({ session }) {
    const { endpoint, region, credentials } = await session.connection();
    const variables: Readonly<Record<string, string>> = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      // botocore would prefix the host of some operations (`data-localhost`), which no resolver knows.
      AWS_DISABLE_HOST_PREFIX_INJECTION: "true",
      AWS_EC2_METADATA_DISABLED: "true",
    };
    if (session.json) return session.output.json(variables);
    session.output.line("unset AWS_PROFILE AWS_SESSION_TOKEN");
    for (const [name, value] of Object.entries(variables)) session.output.line(`export ${name}='${value}'`);
    const warning = await oldClientWarning();
    if (warning !== undefined) session.output.note(warning);
  },
};

/** An `aws` that does not know AWS_ENDPOINT_URL would call AWS itself. */
async function oldClientWarning(): Promise<string | undefined> {
  const version = await runProgram(["aws", "--version"], { timeoutMs: 15_000 }).catch(() => undefined);
  const [, major = "0", minor = "0"] = /aws-cli\/(\d+)\.(\d+)/.exec(version?.stdout ?? "") ?? [];
  const knowsEndpoint = Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 13) || (Number(major) === 1 && Number(minor) >= 29);
  if (version === undefined || knowsEndpoint) return undefined;
  return `warning: this aws (${major}.${minor}) ignores AWS_ENDPOINT_URL and would call AWS itself: pass --endpoint-url "$AWS_ENDPOINT_URL", or install 2.13 or later.`;
}
