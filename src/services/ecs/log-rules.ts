import type { LogConfiguration } from "@aws-sdk/client-ecs";
import { clientError, notBuilt } from "./errors.ts";

/**
 * Options of the awslogs driver that are acted on. `mode` and `max-buffer-size` are accepted without effect: output goes to a file first, so
 * that a container never waits, and more may wait there than in any buffer.
 * Differs: nor does one wait with `mode=blocking`; see docs/adr/0011-logs-wait-in-files.md.
 */
const AWSLOGS_OPTIONS: ReadonlySet<string> = new Set([
  "awslogs-group",
  "awslogs-region",
  "awslogs-stream-prefix",
  "awslogs-create-group",
  "awslogs-datetime-format",
  "awslogs-multiline-pattern",
  "mode",
  "max-buffer-size",
]);

/**
 * Checks a log configuration as Fargate does.
 * Differs: splunk and awsfirelens are refused by name until they are built; the logs stay in the task's region.
 * @throws ClientException
 */
export function checkLogConfiguration(configuration: LogConfiguration, around: { readonly region: string }): void {
  const { logDriver, options = {} } = configuration;
  if (logDriver === "splunk" || logDriver === "awsfirelens") throw notBuilt(`logConfiguration.logDriver=${logDriver}`, "use awslogs.");
  if (logDriver !== "awslogs") throw clientError(`Fargate compatible task definitions do not support log driver ${logDriver}`);
  for (const required of ["awslogs-group", "awslogs-region", "awslogs-stream-prefix"]) {
    if (!options[required]) throw clientError(`Log driver awslogs requires options: ${required}`);
  }
  const unknown = Object.keys(options).find((option) => !AWSLOGS_OPTIONS.has(option));
  if (unknown !== undefined) throw clientError(`Log driver awslogs disallows options: ${unknown}`);
  if (options["awslogs-region"] !== around.region) {
    throw notBuilt(`awslogs-region=${options["awslogs-region"]}`, `logs are kept in the task's own region, ${around.region}.`);
  }
  if (options["awslogs-datetime-format"] !== undefined && options["awslogs-multiline-pattern"] !== undefined) {
    throw clientError("Only one of awslogs-datetime-format and awslogs-multiline-pattern can be set.");
  }
  if (!["blocking", "non-blocking", undefined].includes(options["mode"])) throw clientError(`Invalid log mode: ${options["mode"]}`);
  if (!["true", "false", undefined].includes(options["awslogs-create-group"])) throw clientError("awslogs-create-group must be true or false.");
}
