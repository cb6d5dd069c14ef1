import { isDeepStrictEqual } from "node:util";
import type { Action, RuleCondition as ConditionInput } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { HealthCheckSettings, ListenerAction, RuleCondition, Tags } from "../contracts/load-balancing.ts";
import { Problem } from "../core/problem.ts";
import type { ActionModel } from "./model.ts";

/** Parts of a model as requests of the ELBv2 API have them, and as its records do, to be compared. Pure. */

/** ARNs of the model's target groups, by their ids. */
export type GroupArns = ReadonlyMap<string, string>;

export function actionInput(action: ActionModel, arns: GroupArns): Action {
  switch (action.type) {
    case "forward":
      return {
        Type: "forward",
        ForwardConfig: { TargetGroups: targetsOf(action, arns).map(({ arn, weight }) => ({ TargetGroupArn: arn, Weight: weight })) },
      };
    case "fixed-response":
      return {
        Type: "fixed-response",
        FixedResponseConfig: { StatusCode: action.statusCode, ContentType: action.contentType, MessageBody: action.messageBody },
      };
    case "redirect":
      break;
  }
  const { statusCode, protocol, port, host, path, query } = action;
  return {
    Type: "redirect",
    // The API says what codes there are.
    RedirectConfig: { StatusCode: statusCode as "HTTP_301", Protocol: protocol, Port: port, Host: host, Path: path, Query: query },
  };
}

/** Whether the record's action is the model's. */
export function isSameAction(record: ListenerAction, action: ActionModel, arns: GroupArns): boolean {
  if (record.type !== action.type) return false;
  if (record.type === "forward" && action.type === "forward") {
    const known = record.targetGroups ?? [{ targetGroupArn: record.targetGroupArn, weight: 1 }];
    const wanted = targetsOf(action, arns);
    return (
      known.length === wanted.length &&
      known.every(({ targetGroupArn, weight }, index) => wanted[index]?.arn === targetGroupArn && wanted[index].weight === weight)
    );
  }
  return isDeepStrictEqual(record, action.type === "redirect" ? { ...REDIRECT_DEFAULTS, ...action } : action);
}

/** What the API fills in. */
const REDIRECT_DEFAULTS = { protocol: "#{protocol}", host: "#{host}", port: "#{port}", path: "/#{path}", query: "#{query}" };

function targetsOf(action: Extract<ActionModel, { type: "forward" }>, arns: GroupArns): readonly { readonly arn: string; readonly weight: number }[] {
  return action.targets.map((target) => {
    if ("arn" in target) return target;
    const arn = arns.get(target.groupId);
    if (arn === undefined) throw new Problem("not-found", `there is no target group ${target.groupId}`);
    return { arn, weight: target.weight };
  });
}

export function conditionInput(condition: RuleCondition): ConditionInput {
  const { field } = condition;
  if (field === "query-string") {
    return { Field: field, QueryStringConfig: { Values: condition.pairs.map(({ key, value }) => ({ Key: key, Value: value })) } };
  }
  const Values = [...condition.values];
  switch (field) {
    case "host-header":
      return { Field: field, HostHeaderConfig: { Values } };
    case "path-pattern":
      return { Field: field, PathPatternConfig: { Values } };
    case "http-request-method":
      return { Field: field, HttpRequestMethodConfig: { Values } };
    case "source-ip":
      return { Field: field, SourceIpConfig: { Values } };
    case "http-header":
      break;
  }
  return { Field: field, HttpHeaderConfig: { HttpHeaderName: condition.name, Values } };
}

export function tagInputs(tags: Tags): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

export function attributeInputs(attributes: Readonly<Record<string, string>>): { Key: string; Value: string }[] {
  return Object.entries(attributes).map(([Key, Value]) => ({ Key, Value }));
}

export function healthCheckInput(check: HealthCheckSettings): object {
  return {
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: check.port,
    ...(check.protocol !== "TCP" && { HealthCheckPath: check.path, Matcher: { HttpCode: check.matcher } }),
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
  };
}
