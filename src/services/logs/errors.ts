import { AwsError } from "../../core/aws-error.ts";
import { isProblem } from "../../core/problem.ts";
import type { LogsRoom } from "./room.ts";

export const invalid = (message: string): AwsError => new AwsError("InvalidParameterException", message);
export const groupNotFound = (): AwsError => new AwsError("ResourceNotFoundException", "The specified log group does not exist.");
export const streamNotFound = (): AwsError => new AwsError("ResourceNotFoundException", "The specified log stream does not exist.");
export const groupExists = (): AwsError => new AwsError("ResourceAlreadyExistsException", "The specified log group already exists");
export const streamExists = (): AwsError => new AwsError("ResourceAlreadyExistsException", "The specified log stream already exists");

/** Rethrows a Problem of the log store as the error of the API that fits it whatever the operation. */
export function translateProblem(error: unknown, room: LogsRoom): never {
  if (!isProblem(error)) throw error;
  switch (error.kind) {
    case "invalid":
    case "unsupported":
    case "exhausted":
      throw new AwsError("InvalidParameterException", error.message, { cause: error });
    case "conflict":
      throw new AwsError("OperationAbortedException", "Multiple concurrent requests to update the same resource were in conflict.", { cause: error });
    case "unavailable":
      room.toolbox.logger.error("the log store is unavailable", { service: "logs", err: error });
      throw new AwsError("ServiceUnavailableException", "The service cannot complete the request.", { httpStatus: 500, cause: error });
    case "not-found":
      throw error.message.startsWith("log stream ") ? streamNotFound() : groupNotFound();
    case "already-exists":
      throw groupExists();
  }
}
