import { AwsError } from "../../core/aws-error.ts";

/** IAM's errors in AWS's words; HTTP statuses come from the model. */

export function noSuchEntity(message: string): AwsError {
  return new AwsError("NoSuchEntity", message);
}

export function noSuchRole(name: string): AwsError {
  return noSuchEntity(`The role with name ${name} cannot be found.`);
}

export function noSuchUser(name: string): AwsError {
  return noSuchEntity(`The user with name ${name} cannot be found.`);
}

export function noSuchPolicy(arn: string): AwsError {
  return noSuchEntity(`Policy ${arn} was not found.`);
}

export function alreadyExists(message: string): AwsError {
  return new AwsError("EntityAlreadyExists", message);
}

export function deleteConflict(message: string): AwsError {
  return new AwsError("DeleteConflict", message);
}

export function limitExceeded(quota: string, limit: number): AwsError {
  return new AwsError("LimitExceeded", `Cannot exceed quota for ${quota}: ${limit}`);
}

export function malformedPolicy(message: string): AwsError {
  return new AwsError("MalformedPolicyDocument", message);
}

export function invalidInput(message: string): AwsError {
  return new AwsError("InvalidInput", message);
}

export function validationError(message: string): AwsError {
  return new AwsError("ValidationError", message);
}

export function unmodifiable(roleName: string): AwsError {
  return new AwsError("UnmodifiableEntity", `Cannot perform the operation on the protected role '${roleName}' - this role is only modifiable by AWS`);
}
