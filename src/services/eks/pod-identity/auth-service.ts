import type { Service } from "../../../contracts/service.ts";
import { AwsError } from "../../../core/aws-error.ts";
import { isProblem } from "../../../core/problem.ts";
import { podIdentityAssociationArn } from "../names.ts";
import { clusterKey } from "../records.ts";
import { type EksRoom, operation } from "../room.ts";
import { EKS_AUTH_SCHEMAS } from "./auth-schemas.ts";
import { assumeRoleOf, POD_IDENTITY_AUDIENCE, proveToken } from "./exchange.ts";

interface AssumeRoleForPodIdentityRequest {
  readonly clusterName?: string;
  readonly token?: string;
}

interface AssumeRoleForPodIdentityResponse {
  readonly subject: { readonly namespace: string; readonly serviceAccount: string };
  readonly audience: string;
  readonly podIdentityAssociation: { readonly associationArn: string; readonly associationId: string };
  readonly assumedRoleUser: { readonly arn: string; readonly assumeRoleId: string };
  readonly credentials: {
    readonly sessionToken: string;
    readonly secretAccessKey: string;
    readonly accessKeyId: string;
    readonly expiration: Date;
  };
}

/** Amazon EKS Auth, which on AWS the agents of Pod Identity ask: a pod's token for credentials of its association's role. */
export function createEksAuthService(room: EksRoom): Service {
  return {
    name: "eks-auth",
    signingName: "eks-auth",
    apiVersion: "2023-11-26",
    protocol: "restJson1",
    loadSchemas: async () => EKS_AUTH_SCHEMAS,
    operations: [assumeRoleForPodIdentity(room)],
    errorCodes: { invalid: "InvalidParameterException", unsupported: "InvalidParameterException" },
  };
}

/** @throws ResourceNotFoundException, InvalidTokenException, ExpiredTokenException, AccessDeniedException */
function assumeRoleForPodIdentity(room: EksRoom) {
  return operation<AssumeRoleForPodIdentityRequest, AssumeRoleForPodIdentityResponse>({
    name: "AssumeRoleForPodIdentity",
    members: { clusterName: "used", token: "used" },
    async handle({ clusterName = "", token = "" }, context) {
      const proven = await proveToken(room, { clusterKey: clusterKey(context, clusterName) }, token);
      if ("fault" in proven) {
        if (proven.code === "ResourceNotFoundException")
          throw new AwsError(proven.code, `No cluster found for name: ${clusterName}.`, { httpStatus: 404 });
        throw new AwsError(proven.code, proven.fault);
      }
      const { claims, association } = proven;
      const role = await assumeRoleOf(room, proven).catch((error: unknown) => {
        if (!isProblem(error, "invalid", "not-found")) throw error;
        throw new AwsError("AccessDeniedException", error.message);
      });
      return {
        subject: { namespace: claims.namespace, serviceAccount: claims.serviceAccount },
        audience: POD_IDENTITY_AUDIENCE,
        podIdentityAssociation: { associationArn: podIdentityAssociationArn(association), associationId: association.id },
        assumedRoleUser: { arn: role.assumedRoleArn, assumeRoleId: role.assumedRoleId },
        credentials: {
          sessionToken: role.sessionToken,
          secretAccessKey: role.secretAccessKey,
          accessKeyId: role.accessKeyId,
          expiration: new Date(role.expirationMs),
        },
      };
    },
  });
}
