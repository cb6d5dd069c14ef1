import type { Scope } from "../core/scope.ts";
import type { Target, TargetHealth } from "./load-balancer.ts";

/** The seam between the ELBv2 API (`services/elbv2`) and the room that owns load balancers (`loadbalancer`). Plain JSON records. */

export type Tags = Readonly<Record<string, string>>;

/** Desired state of an Application Load Balancer; the API writes it. */
export interface LoadBalancerRecord extends Scope {
  /** `arn:aws:elasticloadbalancing:<region>:<account>:loadbalancer/app/<name>/<16 hex>`. */
  readonly arn: string;
  readonly name: string;
  readonly dnsName: string;
  readonly scheme: "internet-facing" | "internal";
  readonly vpcId: string;
  readonly subnets: readonly { readonly subnetId: string; readonly availabilityZone: string }[];
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
  readonly protocol: "HTTP";
  readonly protocolVersion: "HTTP1";
  readonly port: number;
  readonly vpcId: string;
  readonly targetType: "ip";
  readonly healthCheck: HealthCheckSettings;
  /** Only those that differ from the defaults. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Tags;
  readonly createdAtMs: number;
}

export type ListenerAction =
  | { readonly type: "forward"; readonly targetGroupArn: string }
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

export interface ListenerRecord extends Scope {
  /** `arn:aws:elasticloadbalancing:<region>:<account>:listener/app/<name>/<id>/<16 hex>`. */
  readonly arn: string;
  readonly loadBalancerArn: string;
  readonly vpcId: string;
  readonly port: number;
  readonly protocol: "HTTP";
  readonly defaultAction: ListenerAction;
  readonly attributes: Readonly<Record<string, string>>;
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
  /** With its listeners. Idempotent. */
  deleteLoadBalancer(arn: string): Promise<void>;

  /** @throws Problem `already-exists` when the scope has one of this name. */
  createTargetGroup(spec: Omit<TargetGroupRecord, Made>): Promise<TargetGroupRecord>;
  targetGroups(scope: Scope): Promise<readonly TargetGroupRecord[]>;
  /** @throws Problem `not-found`. */
  updateTargetGroup(arn: string, change: (record: TargetGroupRecord) => TargetGroupRecord): Promise<TargetGroupRecord>;
  /** With its targets. Idempotent. @throws Problem `conflict` while a listener forwards to it. */
  deleteTargetGroup(arn: string): Promise<void>;

  /** @throws Problem `not-found` (load balancer), `already-exists` (its port). */
  createListener(spec: Omit<ListenerRecord, Made | "vpcId" | "account" | "region">): Promise<ListenerRecord>;
  listeners(scope: Scope): Promise<readonly ListenerRecord[]>;
  /** @throws Problem `not-found`, `already-exists` (the new port). */
  updateListener(arn: string, change: (record: ListenerRecord) => ListenerRecord): Promise<ListenerRecord>;
  /** Idempotent. */
  deleteListener(arn: string): Promise<void>;

  /** Both idempotent. @throws Problem `not-found` (target group). */
  registerTargets(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  deregisterTargets(targetGroupArn: string, targets: readonly Target[]): Promise<void>;
  /** Of all targets, draining ones included. @throws Problem `not-found` (target group). */
  targetHealth(targetGroupArn: string): Promise<readonly TargetHealth[]>;
}
