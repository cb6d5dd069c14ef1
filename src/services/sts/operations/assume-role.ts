import type { AssumeRoleRequest, AssumeRoleResponse } from "@aws-sdk/client-sts";
import type { Operation, Principal } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { isProblem } from "../../../core/problem.ts";
import type { SessionIssuer } from "../ports.ts";
import { credentialsView } from "../views.ts";

const DEFAULT_SECONDS = 3600;
const MAX_CHAINED_SECONDS = 3600;

/**
 * Temporary credentials of a role. A role that does not exist is answered like one that may not be assumed: AccessDenied.
 *
 * Differs: the role's trust policy is not evaluated yet; any valid key may assume any role.
 */
export function assumeRole(issuer: SessionIssuer): Operation<AssumeRoleRequest, AssumeRoleResponse> {
  return {
    name: "AssumeRole",
    members: {
      RoleArn: "used",
      RoleSessionName: "used",
      DurationSeconds: "used",
      Tags: "used",
      ExternalId: { ignored: "trust policies, which alone look at it, are not evaluated yet" },
      Policy: { refused: "session policies are not evaluated yet" },
      PolicyArns: { refused: "session policies are not evaluated yet" },
      TransitiveTagKeys: { refused: "session tags are not passed on yet" },
      SerialNumber: { refused: "there are no MFA devices" },
      TokenCode: { refused: "there are no MFA devices" },
      SourceIdentity: { refused: "source identities are not built yet" },
    },
    async handle(input, { principal }) {
      const roleArn = input.RoleArn!;
      const account = /^arn:aws[a-z-]*:iam::(\d{12}):role\/.+$/.exec(roleArn)?.[1];
      if (account === undefined) throw new AwsError("ValidationError", `${roleArn} is invalid`);
      const maxSeconds = await issuer.maxSessionSeconds(roleArn);
      if (maxSeconds === undefined) throw denied(principal, roleArn);
      const durationSeconds = input.DurationSeconds ?? Math.min(DEFAULT_SECONDS, maxSeconds);
      checkDuration(durationSeconds, maxSeconds, principal);
      const tags = (input.Tags ?? []).map(({ Key, Value }) => ({ key: Key ?? "", value: Value ?? "" }));
      try {
        const session = await issuer.issueRoleSession({ roleArn, sessionName: input.RoleSessionName!, durationSeconds, account, tags });
        return {
          Credentials: credentialsView(session),
          AssumedRoleUser: { AssumedRoleId: session.assumedRoleId, Arn: session.assumedRoleArn },
        };
      } catch (error) {
        // Deleted since we looked.
        if (isProblem(error, "not-found")) throw denied(principal, roleArn);
        throw error;
      }
    },
  };
}

function checkDuration(durationSeconds: number, maxSeconds: number, principal: Principal): void {
  if (durationSeconds > maxSeconds) {
    throw new AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  }
  if (principal.arn.includes(":assumed-role/") && durationSeconds > MAX_CHAINED_SECONDS) {
    throw new AwsError("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.");
  }
}

function denied(principal: Principal, roleArn: string): AwsError {
  return new AwsError("AccessDenied", `User: ${principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`, {
    httpStatus: 403,
  });
}
