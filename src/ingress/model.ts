import type { RuleCondition } from "../contracts/load-balancing.ts";

/** What a Service or a group of Ingresses asks of ELBv2, whole. Pure data: the plans make it, `deploy.ts` carries it out. */

export interface Model {
  readonly balancer: BalancerModel;
  readonly groups: readonly GroupModel[];
  readonly listeners: readonly ListenerModel[];
}

export interface BalancerModel {
  readonly name: string;
  readonly type: "application" | "network";
  readonly scheme: "internal" | "internet-facing";
  /** The user's choice; left out: the cluster's. */
  readonly subnetIds?: readonly string[];
  readonly access: Access;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export type Access =
  /** A security group of its own that lets these blocks reach the listeners, and the cluster's, which lets it reach pods. */
  | { readonly kind: "managed"; readonly cidrs: readonly string[] }
  /** The user's groups; with the cluster's own when `reachesPods`, else the user's rules have to let the load balancer reach the pods. */
  | { readonly kind: "given"; readonly groupIds: readonly string[]; readonly reachesPods: boolean };

export interface HealthCheckModel {
  readonly protocol: "HTTP" | "HTTPS" | "TCP";
  /** `traffic-port` or a number. */
  readonly port: string;
  readonly path: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  readonly matcher: string;
}

/** A target group, and where its targets come from: one port of a service. */
export interface GroupModel {
  /** In the name of the resource, e.g. `default/web:80`. */
  readonly id: string;
  readonly name: string;
  readonly protocol: "HTTP" | "TCP";
  readonly port: number;
  readonly healthCheck: HealthCheckModel;
  readonly attributes: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly source: Source;
}

export interface Source {
  readonly namespace: string;
  readonly service: string;
  /** Name of the service's port; "" for the only one. */
  readonly portName: string;
  /** Labels of its pods; which get a readiness gate when they are made. */
  readonly selector: Readonly<Record<string, string>>;
}

export interface ListenerModel {
  readonly port: number;
  readonly protocol: "HTTP" | "TCP";
  readonly action: ActionModel;
  /** In order. */
  readonly rules: readonly { readonly conditions: readonly RuleCondition[]; readonly action: ActionModel }[];
  readonly tags: Readonly<Record<string, string>>;
}

export type ActionModel =
  | { readonly type: "forward"; readonly targets: readonly ForwardTarget[] }
  | { readonly type: "fixed-response"; readonly statusCode: string; readonly contentType?: string; readonly messageBody?: string }
  | {
      readonly type: "redirect";
      readonly statusCode: string;
      readonly protocol?: string;
      readonly port?: string;
      readonly host?: string;
      readonly path?: string;
      readonly query?: string;
    };

/** A group of this model by its id, or somebody else's by its ARN. */
export type ForwardTarget = ({ readonly groupId: string } | { readonly arn: string }) & { readonly weight: number };

/** The readiness gate of pods that are targets of the group of this name. */
export function gateOf(groupName: string): string {
  return `target-health.elbv2.k8s.aws/${groupName}`;
}
