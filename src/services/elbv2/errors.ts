import { AwsError } from "../../core/aws-error.ts";

/** ELBv2's errors, in its own words where they are known. */

export function validationError(message: string): AwsError {
  return new AwsError("ValidationError", message);
}

export function invalidConfiguration(message: string): AwsError {
  return new AwsError("InvalidConfigurationRequest", message);
}

/** For what Tidegate does not do yet; names it. */
export function unsupported(message: string): AwsError {
  return new AwsError("UnsupportedFeature", message);
}

export function loadBalancersNotFound(names?: readonly string[]): AwsError {
  const message = names === undefined ? "One or more load balancers not found" : `Load balancers '[${names.join(", ")}]' not found`;
  return new AwsError("LoadBalancerNotFound", message);
}

export function loadBalancerNotFound(arn: string): AwsError {
  return new AwsError("LoadBalancerNotFound", `Load balancer '${arn}' not found`);
}

export function targetGroupsNotFound(): AwsError {
  return new AwsError("TargetGroupNotFound", "One or more target groups not found");
}

export function listenersNotFound(): AwsError {
  return new AwsError("ListenerNotFound", "One or more listeners not found");
}

export function rulesNotFound(): AwsError {
  return new AwsError("RuleNotFound", "One or more rules not found");
}

export function invalidArn(arn: string): AwsError {
  return validationError(`'${arn}' is not a valid ARN of a load balancer, target group, listener or rule`);
}
