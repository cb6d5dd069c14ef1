import type { Scope } from "../core/scope.ts";
import type { Target, TargetHealth } from "./load-balancer.ts";

/** The seam between the ELBv2 API (`services/elbv2`) and the room that owns load balancers (`loadbalancer`). Plain JSON records. */

export type Tags = Readonly<Record<string, string>>;

/** Desired state of a load balancer; the API writes it. */
export interface LoadBalancerRecord extends Scope {
  /** `arn:aws:elasticloadbalancing:<region>:<account>:loadbalancer/app/<name>/<16 hex>`; `net` instead of `app` for a network one. */
  readonly arn: string;
  /** Left out: an Application Load Balancer. */
  readonly type?: "network";
  readonly name: string;
  readonly dnsName: string;
  readonly scheme: "internet-facing" | "internal";
  readonly vpcId: string;
  readonly subnets: readonly { readonly subnetId: string; readonly availabilityZone: string }[];
  /** A network one without any lets everything in. */
  readonly securityGroupIds: readonly string[];
  /** Only those that differ from the defaults. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Tags;
  readonly createdAtMs: number;
  /** Deleted for the API; addresses and names are still being taken away. */
  readonly deleting: boolean;
}

/** What the data plane made of it; the load balancer's controller writes it. */
export interface LoadBalancerStatus {
  readonly state: "provisioning" | "active" | "failed";
  readonly reason?: string;
  readonly addresses: readonly { readonly subnetId: string; readonly ip: string }[];
}

export interface LoadBalancerView {
  readonly record: LoadBalancerRecord;
  readonly status: LoadBalancerStatus;
}

export interface HealthCheckSettings {
  readonly protocol: "HTTP" | "HTTPS" | "TCP";
  /** `traffic-port` or a number. */
  readonly port: string;
  readonly path: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** Codes and ranges, e.g. `200` or `200-299,301`. */
  readonly matcher: string;
}

export interface TargetGroupRecord extends Scope {
  /** `arn:aws:elasticloadbalancing:<region>:<account>:targetgroup/<name>/<16 hex>`. */
  readonly arn: string;
  readonly name: string;
  readonly protocol: "HTTP" | "TCP";
  /** Left out for TCP. */
  readonly protocolVersion?: "HTTP1";
  readonly port: number;
  readonly vpcId: string;
  readonly targetType: "ip";
  readonly healthCheck: HealthCheckSettings;
  /** Only those that differ from the defaults. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Tags;
  readonly createdAtMs: number;
}

export interface WeightedGroup {
  readonly targetGroupArn: string;
  /** 0 to 999; shares of the requests are in proportion. */
  readonly weight: number;
}

export type ListenerAction =
  /** `targetGroups` only with more than one group or another weight than 1; the first of them is `targetGroupArn`. */
  | { readonly type: "forward"; readonly targetGroupArn: string; readonly targetGroups?: readonly WeightedGroup[] }
  | { readonly type: "fixed-response"; readonly statusCode: string; readonly contentType?: string; readonly messageBody?: string }
  | {
      readonly type: "redirect";
      readonly statusCode: "HTTP_301" | "HTTP_302";
      readonly protocol: string;
      readonly port: string;
      readonly host: string;
      readonly path: string;
      readonly query: string;
    };

/** The groups that an action forwards to; none for one that answers by itself. */
export function groupsOf(action: ListenerAction): readonly WeightedGroup[] {
  if (action.type !== "forward") return [];
  return action.targetGroups ?? [{ targetGroupArn: action.targetGroupArn, weight: 1 }];
}

export interface ListenerRecord extends Scope {
  /** `arn:aws:elasticloadbalancing:<region>:<account>:listener/app/<name>/<id>/<16 hex>`; `net` for a network load balancer's. */
  readonly arn: string;
  readonly loadBalancerArn: string;
  readonly vpcId: string;
  readonly port: number;
  /** TCP for a network load balancer's, which only forwards. */
  readonly protocol: "HTTP" | "TCP";
  readonly defaultAction: ListenerAction;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Tags;
  readonly createdAtMs: number;
}

/** One of the values has to match; `*` stands for any characters, `?` for one, where wildcards are allowed. */
export type RuleCondition =
  | { readonly field: "host-header" | "path-pattern" | "http-request-method" | "source-ip"; readonly values: readonly string[] }
  | { readonly field: "http-header"; readonly name: string; readonly values: readonly string[] }
  | { readonly field: "query-string"; readonly pairs: readonly { readonly key?: string; readonly value: string }[] };

/** What a listener of an Application Load Balancer does with requests that meet all conditions; the lowest priority is looked at first. */
export interface RuleRecord extends Scope {
  /** `…:listener-rule/app/<name>/<id>/<id of the listener>/<16 hex>`. */
  readonly arn: string;
  readonly listenerArn: string;
  readonly loadBalancerArn: string;
  readonly vpcId: string;
  /** 1 to 50000; no two rules of a listener have the same. */
  readonly priority: number;
  readonly conditions: readonly RuleCondition[];
  readonly action: ListenerAction;
  readonly tags: Tags;
  readonly createdAtMs: number;
}

type Made = "arn" | "createdAtMs";

/**
 * The records of ELBv2. Calls store desired state and return; the data plane converges behind them. Lists answer in order of creation;
 * a load balancer that is being deleted is in none. All changes are atomic; `update…` is given the latest record and may be called again.
 */
export interface LoadBalancing {
  /** @throws Problem `already-exists` when the scope has one of this name. */
  createLoadBalancer(spec: Omit<LoadBalancerRecord, Made | "dnsName" | "deleting">): Promise<LoadBalancerView>;
  loadBalancers(scope: Scope): Promise<readonly LoadBalancerView[]>;
  /** @throws Problem `not-found`. */
  updateLoadBalancer(arn: string, change: (record: LoadBalancerRecord) => LoadBalancerRecord): Promise<LoadBalancerView>;
  /** With its listeners and their rules. Idempotent. */
  deleteLoadBalancer(arn: string): Promise<void>;

  /** @throws Problem `already-exists` when the scope has one of this name. */
  createTargetGroup(spec: Omit<TargetGroupRecord, Made>): Promise<TargetGroupRecord>;
  targetGroups(scope: Scope): Promise<readonly TargetGroupRecord[]>;
  /** @throws Problem `not-found`. */
  updateTargetGroup(arn: string, change: (record: TargetGroupRecord) => TargetGroupRecord): Promise<TargetGroupRecord>;
  /** With its targets. Idempotent. @throws Problem `conflict` while a listener or a rule forwards to it. */
  deleteTargetGroup(arn: string): Promise<void>;

  /** @throws Problem `not-found` (load balancer), `already-exists` (its port). */
  createListener(spec: Omit<ListenerRecord, Made | "vpcId" | "account" | "region">): Promise<ListenerRecord>;
  listeners(scope: Scope): Promise<readonly ListenerRecord[]>;
  /** @throws Problem `not-found`, `already-exists` (the new port). */
  updateListener(arn: string, change: (record: ListenerRecord) => ListenerRecord): Promise<ListenerRecord>;
  /** With its rules. Idempotent. */
  deleteListener(arn: string): Promise<void>;

  /** @throws Problem `not-found` (listener), `already-exists` (its priority). */
  createRule(spec: Pick<RuleRecord, "listenerArn" | "priority" | "conditions" | "action" | "tags">): Promise<RuleRecord>;
  rules(scope: Scope): Promise<readonly RuleRecord[]>;
  /** Not the priority. @throws Problem `not-found`. */
  updateRule(arn: string, change: (record: RuleRecord) => RuleRecord): Promise<RuleRecord>;
  /** All of them or none. @throws Problem `not-found` (one of the rules), `already-exists` (a priority). */
  setRulePriorities(priorities: ReadonlyMap<string, number>): Promise<readonly RuleRecord[]>;
  /** Idempotent. */
  deleteRule(arn: string): Promise<void>;

  /** Both idempotent. @throws Problem `not-found` (target group). */
  registerTargets(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  deregisterTargets(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  /** Of all targets, draining ones included. @throws Problem `not-found` (target group). */
  targetHealth(targetGroupArn: string): Promise<readonly TargetHealth[]>;
}
