import { AwsError } from "../../core/aws-error.ts";

/** ECS's errors with AWS's wording. */
export const invalidParameter = (message: string): AwsError => new AwsError("InvalidParameterException", message);
export const clientError = (message: string): AwsError => new AwsError("ClientException", message);
export const clusterNotFound = (): AwsError => new AwsError("ClusterNotFoundException", "Cluster not found.");
export const serviceNotFound = (): AwsError => new AwsError("ServiceNotFoundException", "Service not found.");
export const serviceNotActive = (): AwsError => new AwsError("ServiceNotActiveException", "Service was not ACTIVE.");
export const taskDefinitionNotFound = (): AwsError => clientError("Unable to describe task definition.");
export const taskNotFound = (): AwsError => invalidParameter("The referenced task was not found.");
export const resourceNotFound = (message: string): AwsError => new AwsError("ResourceNotFoundException", message);
export const platformUnknown = (message: string): AwsError => new AwsError("PlatformUnknownException", message);

/** A member that Tidegate does not act on yet, refused by name. */
export const notBuilt = (member: string, why: string): AwsError => new AwsError("ClientException", `Tidegate does not support '${member}': ${why}`);

export const CAPACITY_UNAVAILABLE = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
