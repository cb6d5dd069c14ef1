import type { AssumeRoleWithWebIdentityRequest, AssumeRoleWithWebIdentityResponse } from "@aws-sdk/client-sts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { isProblem } from "../../../core/problem.ts";
import type { StsOptions } from "../ports.ts";
import { credentialsView } from "../views.ts";
import { verifyWebIdentity } from "../web-identity.ts";

const DEFAULT_SECONDS = 3600;
const ACTION = "sts:AssumeRoleWithWebIdentity";

/**
 * Temporary credentials of a role, for whom a token of an OIDC provider of the role's account names, where the role's trust policy says so. The
 * request itself is nobody's: it is not signed.
 * @throws AwsError InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError, AccessDenied, ValidationError
 */
export function assumeRoleWithWebIdentity({
  issuer: sessions,
  keys,
}: StsOptions): Operation<AssumeRoleWithWebIdentityRequest, AssumeRoleWithWebIdentityResponse> {
  return {
    name: "AssumeRoleWithWebIdentity",
    unsigned: true,
    members: {
      RoleArn: "used",
      RoleSessionName: "used",
      WebIdentityToken: "used",
      DurationSeconds: "used",
      ProviderId: { refused: "tokens of OAuth 2.0 that are no JWT are not taken" },
      Policy: { refused: "session policies are not evaluated yet" },
      PolicyArns: { refused: "session policies are not evaluated yet" },
    },
    async handle({ RoleArn: roleArn = "", RoleSessionName: sessionName = "", WebIdentityToken: token = "", DurationSeconds }, { nowMs }) {
      const account = /^arn:aws[a-z-]*:iam::(\d{12}):role\/.+$/.exec(roleArn)?.[1];
      if (account === undefined) throw new AwsError("ValidationError", `${roleArn} is invalid`);
      const identity = await verifyWebIdentity(token, { account, nowMs, providers: sessions, keys });
      const { providerArn, issuer, subject, audiences } = identity;
      const isTrusted = await sessions.trusts(roleArn, {
        action: ACTION,
        principal: { type: "Federated", names: [providerArn] },
        context: {
          [`${issuer}:sub`]: [subject],
          [`${issuer}:aud`]: audiences,
          "aws:FederatedProvider": [providerArn],
          "sts:RoleSessionName": [sessionName],
        },
      });
      const maxSeconds = isTrusted ? await sessions.maxSessionSeconds(roleArn) : undefined;
      if (maxSeconds === undefined) throw denied();
      const durationSeconds = DurationSeconds ?? Math.min(DEFAULT_SECONDS, maxSeconds);
      if (durationSeconds > maxSeconds) {
        throw new AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
      }
      try {
        const session = await sessions.issueRoleSession({ roleArn, sessionName, durationSeconds, account });
        return {
          Credentials: credentialsView(session),
          SubjectFromWebIdentityToken: subject,
          AssumedRoleUser: { AssumedRoleId: session.assumedRoleId, Arn: session.assumedRoleArn },
          Provider: providerArn,
          Audience: audiences.join(","),
        };
      } catch (error) {
        // Deleted since we looked.
        if (isProblem(error, "not-found")) throw denied();
        throw error;
      }
    },
  };
}

function denied(): AwsError {
  return new AwsError("AccessDenied", `Not authorized to perform ${ACTION}`, { httpStatus: 403 });
}
