import { AwsError } from "../../core/aws-error.ts";

/** EKS's errors, in its own words where they are known. Members that do not apply are there as null, as in AWS's answers. */

const NO_FIELDS = { clusterName: null, nodegroupName: null, fargateProfileName: null, addonName: null, subscriptionId: null };

export function invalidParameter(message: string, clusterName?: string): AwsError {
  return new AwsError("InvalidParameterException", message, { fields: { ...NO_FIELDS, clusterName: clusterName ?? null } });
}

export function invalidRequest(message: string, clusterName: string): AwsError {
  return new AwsError("InvalidRequestException", message, { fields: { ...NO_FIELDS, clusterName } });
}

export function clusterExists(name: string): AwsError {
  return new AwsError("ResourceInUseException", `Cluster already exists with name: ${name}`, {
    httpStatus: 409,
    fields: { ...NO_FIELDS, clusterName: name },
  });
}

export function clusterNotFound(name: string): AwsError {
  return new AwsError("ResourceNotFoundException", `No cluster found for name: ${name}.`, {
    httpStatus: 404,
    fields: { ...NO_FIELDS, clusterName: name },
  });
}

export function resourceNotFound(message: string, clusterName: string): AwsError {
  return new AwsError("ResourceNotFoundException", message, { httpStatus: 404, fields: { ...NO_FIELDS, clusterName } });
}

export function resourceInUse(message: string, clusterName: string): AwsError {
  return new AwsError("ResourceInUseException", message, { httpStatus: 409, fields: { ...NO_FIELDS, clusterName } });
}

/** Of the tag operations, whose errors are others than the rest's. */
export function tagBadRequest(message: string): AwsError {
  return new AwsError("BadRequestException", message);
}

export function taggedNotFound(arn: string): AwsError {
  return new AwsError("NotFoundException", `Resource ${arn} was not found.`, { httpStatus: 404 });
}
