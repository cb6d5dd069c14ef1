/**
 * The schemas of EKS Auth, written as the SDK's generator writes them: the SDK's own package for this one operation is not everywhere to be had.
 * @see https://docs.aws.amazon.com/eks/latest/APIReference/API_auth_AssumeRoleForPodIdentity.html
 */

const NS = "com.amazonaws.eksauth";
const TIMESTAMP = 4;
const SECRET_BITS = 8;

const Token = [0, NS, "JwtToken", SECRET_BITS, 0];
const Request = [
  3,
  NS,
  "AssumeRoleForPodIdentityRequest",
  0,
  ["clusterName", "token"],
  [
    [0, 1],
    [() => Token, 0],
  ],
  2,
];
const Subject = [3, NS, "Subject", 0, ["namespace", "serviceAccount"], [0, 0], 2];
const Association = [3, NS, "PodIdentityAssociation", 0, ["associationArn", "associationId"], [0, 0], 2];
const AssumedRoleUser = [3, NS, "AssumedRoleUser", 0, ["arn", "assumeRoleId"], [0, 0], 2];
const CREDENTIALS = { sessionToken: 0, secretAccessKey: 0, accessKeyId: 0, expiration: TIMESTAMP };
const Credentials = [3, NS, "Credentials", SECRET_BITS, Object.keys(CREDENTIALS), Object.values(CREDENTIALS), 4];
const RESPONSE = {
  subject: () => Subject,
  audience: 0,
  podIdentityAssociation: () => Association,
  assumedRoleUser: () => AssumedRoleUser,
  credentials: [() => Credentials, 0],
};
const Response = [3, NS, "AssumeRoleForPodIdentityResponse", 0, Object.keys(RESPONSE), Object.values(RESPONSE), 5];

const fault = (name: string, httpError: number): unknown => [
  -3,
  NS,
  name,
  { error: httpError < 500 ? "client" : "server", httpError },
  ["message"],
  [0],
];

export const EKS_AUTH_SCHEMAS: Readonly<Record<string, unknown>> = {
  AssumeRoleForPodIdentity$: [
    9,
    NS,
    "AssumeRoleForPodIdentity",
    { http: ["POST", "/clusters/{clusterName}/assume-role-for-pod-identity", 200] },
    () => Request,
    () => Response,
  ],
  AccessDeniedException$: fault("AccessDeniedException", 400),
  ExpiredTokenException$: fault("ExpiredTokenException", 400),
  InternalServerException$: fault("InternalServerException", 500),
  InvalidParameterException$: fault("InvalidParameterException", 400),
  InvalidRequestException$: fault("InvalidRequestException", 400),
  InvalidTokenException$: fault("InvalidTokenException", 400),
  ResourceNotFoundException$: fault("ResourceNotFoundException", 404),
  ServiceUnavailableException$: fault("ServiceUnavailableException", 503),
  ThrottlingException$: fault("ThrottlingException", 429),
};
