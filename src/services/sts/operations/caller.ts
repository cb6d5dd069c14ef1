import type {
  GetAccessKeyInfoRequest,
  GetAccessKeyInfoResponse,
  GetCallerIdentityRequest,
  GetCallerIdentityResponse,
  GetSessionTokenRequest,
  GetSessionTokenResponse,
} from "@aws-sdk/client-sts";
import type { Operation } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import type { SessionIssuer } from "../ports.ts";
import { credentialsView } from "../views.ts";

const DEFAULT_SECONDS = 12 * 3600;
const MAX_ROOT_SECONDS = 3600;

/** Who signed. */
export const getCallerIdentity: Operation<GetCallerIdentityRequest, GetCallerIdentityResponse> = {
  name: "GetCallerIdentity",
  members: {},
  handle: (_input, { principal, account }) => Promise.resolve({ UserId: principal.userId, Account: account, Arn: principal.arn }),
};

/** Temporary credentials for the caller itself. A session cannot ask for another. */
export function getSessionToken(issuer: SessionIssuer): Operation<GetSessionTokenRequest, GetSessionTokenResponse> {
  return {
    name: "GetSessionToken",
    members: {
      DurationSeconds: "used",
      SerialNumber: { refused: "there are no MFA devices" },
      TokenCode: { refused: "there are no MFA devices" },
    },
    async handle(input, { principal, account }) {
      if (principal.accessKeyId.startsWith("ASIA")) {
        throw new AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", { httpStatus: 403 });
      }
      const wanted = input.DurationSeconds ?? DEFAULT_SECONDS;
      // AWS gives the account's root an hour at most, whatever it asks for.
      const durationSeconds = principal.arn.endsWith(":root") ? Math.min(wanted, MAX_ROOT_SECONDS) : wanted;
      return { Credentials: credentialsView(await issuer.issueSessionToken({ principal, account, durationSeconds })) };
    },
  };
}

/** The account of an access key id, which is in the id itself; the key need not exist. */
export function getAccessKeyInfo(issuer: SessionIssuer): Operation<GetAccessKeyInfoRequest, GetAccessKeyInfoResponse> {
  return {
    name: "GetAccessKeyInfo",
    members: { AccessKeyId: "used" },
    handle(input) {
      const account = issuer.accountOfKeyId(input.AccessKeyId!);
      if (account === undefined) return Promise.reject(new AwsError("ValidationError", "The specified value for accessKeyId is invalid."));
      return Promise.resolve({ Account: account });
    },
  };
}
