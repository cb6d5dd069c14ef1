import type { ProtocolName, Service } from "../contracts/service.ts";
import { AwsError } from "../core/aws-error.ts";
import { messageOf } from "../core/problem.ts";
import type { Refusal } from "./members.ts";
import type { ServiceModel } from "./model.ts";
import { wordViolations } from "./validate.ts";
import type { Violation } from "./validate.ts";

/** The errors that the gateway finds by itself, worded as AWS does for the service's protocol. */

type Style = "json" | "query" | "ec2";

export function styleOf(protocol: ProtocolName): Style {
  if (protocol === "awsQuery") return "query";
  return protocol === "ec2Query" ? "ec2" : "json";
}

export function unknownOperation(service: Service, name: string | undefined): AwsError {
  const style = styleOf(service.protocol);
  if (style === "json") {
    return new AwsError("UnknownOperationException", name === undefined ? nothingNamed(service) : `${service.name} has no operation ${name}.`);
  }
  if (name === undefined) return new AwsError("MissingAction", "The request must contain the parameter Action.");
  if (style === "query") return new AwsError("InvalidAction", `Could not find operation ${name} for version ${service.apiVersion}`);
  return new AwsError("InvalidAction", `The action ${name} is not valid for this web service.`);
}

function nothingNamed({ name, protocol }: Service): string {
  return protocol === "restJson1" ? `${name} has no operation at this method and path.` : "The request names no operation.";
}

/** In the model, with no handler. */
export function operationNotBuilt(service: Service, name: string): AwsError {
  const code = styleOf(service.protocol) === "json" ? "UnknownOperationException" : "UnsupportedOperation";
  return new AwsError(code, `The operation ${name} of ${service.name} is not built in Tidegate yet.`);
}

/** Missing members and broken constraints. */
export function invalidInput(service: Service, model: ServiceModel, operation: string, violations: readonly Violation[]): AwsError {
  const [first] = violations as readonly [Violation];
  const style = styleOf(service.protocol);
  if (style === "ec2") {
    const parameter = first.path.replaceAll(".member", "");
    if (first.value === null) return new AwsError("MissingParameter", `The request must contain the parameter ${parameter}`);
    return new AwsError(invalidCode(service, model, operation), `Value (${first.value ?? ""}) for parameter ${parameter} is invalid. ${first.rule}.`);
  }
  return new AwsError(invalidCode(service, model, operation), wordViolations(violations, model.constraints.file.wording ?? "coral"));
}

function invalidCode(service: Service, model: ServiceModel, operation: string): string {
  if (service.errorCodes?.invalid !== undefined) return service.errorCodes.invalid;
  const style = styleOf(service.protocol);
  if (style === "ec2") return "InvalidParameterValue";
  if (style === "query") return "ValidationError";
  return model.constraints.listsError(operation, "InvalidParameterException") ? "InvalidParameterException" : "ValidationException";
}

/** A present member that has no effect here. */
export function refusedMember(service: Service, model: ServiceModel, operation: string, refusal: Refusal): AwsError {
  return new AwsError(
    unsupportedCode(service, model, operation),
    `Tidegate does not support ${refusal.member}: ${refusal.reason.replace(/\.$/, "")}.`,
  );
}

function unsupportedCode(service: Service, model: ServiceModel, operation: string): string {
  if (service.errorCodes?.unsupported !== undefined) return service.errorCodes.unsupported;
  const style = styleOf(service.protocol);
  if (style === "ec2") return "UnsupportedOperation";
  if (style === "query") return "InvalidParameterValue";
  return model.constraints.listsError(operation, "UnsupportedFeatureException") ? "UnsupportedFeatureException" : "InvalidParameterException";
}

/** Anything that was thrown and is no AwsError; the details are in the log under the request id. */
export function internalFailure(protocol: ProtocolName, requestId: string): AwsError {
  const message = `An internal error has occurred. The details are in Tidegate's log under request id ${requestId}.`;
  return new AwsError(styleOf(protocol) === "ec2" ? "InternalError" : "InternalFailure", message, { httpStatus: 500 });
}

/** Nothing was changed; SDKs try again by themselves. The words name the disk. */
export function diskFullFailure(error: unknown): AwsError {
  return new AwsError("ServiceUnavailable", messageOf(error), { httpStatus: 503, cause: error });
}

/** Gives a handler's error its wire code and the HTTP status of the model, where the model has one and the handler did not choose. */
export function modelled(error: AwsError, model: ServiceModel, protocol: ProtocolName): AwsError {
  const shape = model.errors.get(error.code);
  if (shape === undefined) return error;
  const code = styleOf(protocol) === "json" ? error.code : shape.code;
  const httpStatus = error.httpStatus === 400 ? shape.httpStatus : error.httpStatus;
  if (code === error.code && httpStatus === error.httpStatus) return error;
  return new AwsError(code, error.message, { httpStatus, fields: error.fields, cause: error.cause });
}
