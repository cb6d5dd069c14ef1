import { formatArn, parseArn } from "../../core/arn.ts";
import type { Scope } from "../../core/scope.ts";
import { invalid } from "./errors.ts";

const RESOURCE = "log-group:";

/** `arn:aws:logs:<region>:<account>:log-group:<name>`; the `:*` that some members end in is the caller's. */
export function groupArn({ account, region }: Scope, group: string): string {
  return formatArn({ service: "logs", region, account, resource: RESOURCE + group });
}

/** The group that an ARN names, with or without `:*`. @throws InvalidParameterException for the ARN of anything else. */
export function groupOfArn(scope: Scope, text: string): string {
  const arn = parseArn(text);
  const ours = arn?.service === "logs" && arn.account === scope.account && arn.region === scope.region && arn.resource.startsWith(RESOURCE);
  const name = arn?.resource.slice(RESOURCE.length).replace(/:\*$/, "") ?? "";
  if (!ours || name === "" || name.includes(":"))
    throw invalid(`The ARN '${text}' is not that of a log group in ${scope.region} of account ${scope.account}.`);
  return name;
}

/** The group of a request that may give its name or an identifier (a name or an ARN), one of the two. */
export function requestedGroup(scope: Scope, input: { readonly logGroupName?: string; readonly logGroupIdentifier?: string }): string {
  const { logGroupName, logGroupIdentifier } = input;
  if (logGroupName !== undefined && logGroupIdentifier === undefined) return logGroupName;
  if (logGroupName !== undefined || logGroupIdentifier === undefined) {
    throw invalid("You must include one of the following parameters, but not both: logGroupName, logGroupIdentifier.");
  }
  return groupOfIdentifier(scope, logGroupIdentifier);
}

export function groupOfIdentifier(scope: Scope, identifier: string): string {
  return identifier.startsWith("arn:") ? groupOfArn(scope, identifier) : identifier;
}
