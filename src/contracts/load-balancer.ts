/** Health of a target as the load balancer's data plane sees it; ELBv2's states and reason codes. */
export interface TargetHealth {
  readonly targetGroupArn: string;
  readonly ip: string;
  readonly port: number;
  readonly state: "initial" | "healthy" | "unhealthy" | "unused" | "draining" | "unavailable";
  readonly reason?: string;
  readonly description?: string;
}

export interface Target {
  readonly ip: string;
  readonly port: number;
}

/**
 * What the orchestrators need of ELBv2: put targets into groups and take them out. All calls are idempotent, store desired state and
 * return; HAProxy converges behind them and checks health by itself.
 */
export interface TargetRegistrar {
  /** @throws Problem `not-found` (target group), `invalid` (its type is not `ip`). */
  describeTargetGroup(targetGroupArn: string): Promise<TargetGroupInfo>;
  register(targetGroupArn: string, target: Target): Promise<void>;
  /** Starts draining: no new connection or request; open ones go on for at most the deregistration delay. */
  deregister(targetGroupArn: string, target: Target): Promise<void>;
  /** `undefined` once it is no target any more: drained, or never registered. */
  health(targetGroupArn: string, target: Target): Promise<TargetHealth | undefined>;
  /** Each change of a target's health. */
  watch(listener: (health: TargetHealth) => void): Disposable;
}

export interface TargetGroupInfo {
  readonly targetGroupArn: string;
  readonly vpcId: string;
  readonly targetType: string;
  readonly protocol: string;
  readonly port: number;
  /** Whether a listener forwards to it; ECS refuses a group that no load balancer uses. */
  readonly loadBalancerArns: readonly string[];
  readonly deregistrationDelaySeconds: number;
}
