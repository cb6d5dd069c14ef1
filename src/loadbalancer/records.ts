import type { TargetHealth } from "../contracts/load-balancer.ts";
import type { ListenerRecord, LoadBalancerRecord, LoadBalancerStatus, RuleRecord, TargetGroupRecord } from "../contracts/load-balancing.ts";
import { collection } from "../contracts/store.ts";
import { parseArn } from "../core/arn.ts";
import { Problem } from "../core/problem.ts";
import { scopedKey } from "../core/scope.ts";

/** Keys are `<account>/<region>/<resource of the ARN without its type>`, e.g. `…/web/50dc6c495c0c9188`. */
export const loadBalancerRecords = collection<LoadBalancerRecord>("loadbalancer.balancer");
/** Same keys; written by the controller alone. */
export const loadBalancerStatuses = collection<LoadBalancerStatus & { readonly vpcId: string }>("loadbalancer.balancer-status");
export const targetGroupRecords = collection<TargetGroupRecord>("loadbalancer.target-group");
export const listenerRecords = collection<ListenerRecord>("loadbalancer.listener");
export const ruleRecords = collection<RuleRecord>("loadbalancer.rule");
/** What must be unique: names of load balancers and groups, ports of a load balancer, priorities of a listener's rules. Holds the ARN of who has it. */
export const claims = collection<{ readonly arn: string }>("loadbalancer.claim");
/** Desired state of targets; key `<key of the group>/<ip>:<port>`. */
export const targetRecords = collection<TargetRecord>("loadbalancer.target");
/** Health of targets, same keys; written by the controller alone. */
export const targetHealths = collection<TargetHealthRecord>("loadbalancer.target-health");

/** A target of a group, and what is still draining of its earlier registrations. */
export interface TargetRecord {
  readonly targetGroupArn: string;
  readonly vpcId: string;
  readonly ip: string;
  readonly port: number;
  /** Eight hex digits, new with each registration: part of the HAProxy server's name. Left out once deregistered. */
  readonly token?: string;
  readonly registeredAtMs: number;
  readonly draining: readonly DrainingRegistration[];
}

export interface DrainingRegistration {
  readonly token: string;
  readonly sinceMs: number;
  /** When what is still open is shut. */
  readonly untilMs: number;
}

export interface TargetHealthRecord extends TargetHealth {
  readonly vpcId: string;
  /** The registration that was judged. */
  readonly token: string;
}

/** A balancer's id is unique, so that both kinds share their keys. */
const ARN_PREFIXES = ["loadbalancer/app/", "loadbalancer/net/", "targetgroup/", "listener/app/", "listener/net/", "listener-rule/app/"];

/** The store key of a load balancer, target group, listener or rule. @throws Problem `not-found` for what is no such ARN. */
export function keyOfArn(arn: string): string {
  const parsed = parseArn(arn);
  const prefix = ARN_PREFIXES.find((candidate) => parsed?.resource.startsWith(candidate));
  if (parsed === undefined || prefix === undefined)
    throw new Problem("not-found", `${arn} is no ARN of a load balancer, target group, listener or rule`);
  return scopedKey({ account: parsed.account, region: parsed.region }, parsed.resource.slice(prefix.length));
}

/** The last part of an ARN: 16 hex digits, unique. */
export function idOfArn(arn: string): string {
  return arn.slice(arn.lastIndexOf("/") + 1);
}

/** The ARN without its account's prefix, e.g. `app/web/50dc6c495c0c9188`: CloudWatch's dimension, and our owner name. */
export function shortNameOfArn(arn: string): string {
  return arn.slice(arn.indexOf("/") + 1);
}

export function targetKey(target: { readonly targetGroupArn: string; readonly ip: string; readonly port: number }): string {
  return `${keyOfArn(target.targetGroupArn)}/${target.ip}:${target.port}`;
}
