import type { Action } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ListenerAction, WeightedGroup } from "../../contracts/load-balancing.ts";
import type { Members } from "../../contracts/service.ts";
import { AwsError } from "../../core/aws-error.ts";
import { unsupported, validationError } from "./errors.ts";

const NO_STICKINESS = "stickiness of target groups is not built yet";
const MAX_GROUPS = 5;

/** How a list of actions at `path` is treated. */
export function actionMembers(path: string): Members {
  return {
    [`${path}.Type`]: "used",
    [`${path}.TargetGroupArn`]: "used",
    [`${path}.Order`]: { ignored: "there is one action" },
    [`${path}.ForwardConfig.TargetGroups`]: "used",
    [`${path}.ForwardConfig.TargetGroupStickinessConfig.Enabled`]: { refused: NO_STICKINESS, unless: [false] },
    [`${path}.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds`]: { ignored: "group stickiness cannot be enabled" },
    [`${path}.FixedResponseConfig`]: "used",
    [`${path}.RedirectConfig`]: "used",
  };
}

/** Reads the actions of a listener or a rule. @throws AwsError ValidationError, InvalidLoadBalancerAction, UnsupportedFeature. */
export function readAction(actions: readonly Action[]): ListenerAction {
  const [action] = actions;
  if (action === undefined) throw validationError("An action must be specified");
  if (actions.length > 1) throw new AwsError("TooManyActions", "Only one action is supported: authentication actions are not built yet");
  switch (action.Type) {
    case "forward":
      return readForward(action);
    case "fixed-response":
      return readFixedResponse(action);
    case "redirect":
      return readRedirect(action);
    case "authenticate-cognito":
    case "authenticate-oidc":
    case "jwt-validation":
    case undefined:
    default:
      throw unsupported(`Listener actions of type '${action.Type}' are not built yet`);
  }
}

function readForward(action: Action): ListenerAction {
  const groups = (action.ForwardConfig?.TargetGroups ?? []).map(({ TargetGroupArn = "", Weight = 1 }): WeightedGroup => {
    return { targetGroupArn: TargetGroupArn, weight: Weight };
  });
  const [first] = groups;
  const arns = groups.map(({ targetGroupArn }) => targetGroupArn);
  if (groups.length > MAX_GROUPS)
    throw new AwsError("TooManyTargetGroups", `The maximum number of target groups in an action is ${MAX_GROUPS}; ${groups.length} were given`);
  if (new Set(arns).size < arns.length) throw new AwsError("InvalidLoadBalancerAction", "Target groups in a forward action must be unique");
  const outside = groups.find(({ weight }) => weight < 0 || weight > 999);
  if (outside !== undefined) throw validationError(`The weight '${outside.weight}' of a target group must be between 0 and 999`);
  if (action.TargetGroupArn !== undefined && first !== undefined && (groups.length > 1 || action.TargetGroupArn !== first.targetGroupArn)) {
    throw new AwsError("InvalidLoadBalancerAction", "You must specify the same target group in TargetGroupArn and ForwardConfig");
  }
  const arn = action.TargetGroupArn ?? first?.targetGroupArn;
  if (arn === undefined) throw validationError("A target group ARN must be specified for a forward action");
  if (groups.length === 0 || (groups.length === 1 && first?.weight === 1)) return { type: "forward", targetGroupArn: arn };
  return { type: "forward", targetGroupArn: arn, targetGroups: groups };
}

function readFixedResponse({ FixedResponseConfig: config }: Action): ListenerAction {
  const statusCode = config?.StatusCode ?? "";
  if (!/^[245]\d\d$/.test(statusCode)) throw validationError("The StatusCode of a fixed response must be 2XX, 4XX or 5XX");
  const contentType = config?.ContentType;
  const messageBody = config?.MessageBody;
  return {
    type: "fixed-response",
    statusCode,
    ...(contentType === undefined ? {} : { contentType }),
    ...(messageBody === undefined ? {} : { messageBody }),
  };
}

function readRedirect({ RedirectConfig: config }: Action): ListenerAction {
  const { Protocol = "#{protocol}", Host = "#{host}", Port = "#{port}", Path = "/#{path}", Query = "#{query}", StatusCode } = config ?? {};
  if (StatusCode !== "HTTP_301" && StatusCode !== "HTTP_302") throw validationError("The StatusCode of a redirect must be HTTP_301 or HTTP_302");
  if (!/^(HTTPS?|#\{protocol\})$/.test(Protocol)) throw validationError(`Redirect protocol '${Protocol}' must be HTTP, HTTPS or #{protocol}`);
  if (!/^(\d{1,5}|#\{port\})$/.test(Port)) throw validationError(`Redirect port '${Port}' must be a number from 1 to 65535 or #{port}`);
  if (!Path.startsWith("/")) throw validationError(`Redirect path '${Path}' must begin with '/'`);
  if ([Protocol, Host, Port, Path, Query].join("|") === "#{protocol}|#{host}|#{port}|/#{path}|#{query}") {
    throw new AwsError(
      "InvalidLoadBalancerAction",
      "The redirect must change at least one of protocol, port, hostname or path, to avoid a redirect loop",
    );
  }
  return { type: "redirect", statusCode: StatusCode, protocol: Protocol, host: Host, port: Port, path: Path, query: Query };
}
