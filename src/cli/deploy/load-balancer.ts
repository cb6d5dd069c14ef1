import type { ElasticLoadBalancingV2Client, LoadBalancer, TargetGroup } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Session } from "../session.ts";
import type { ServiceNetwork } from "./surroundings.ts";

export interface Balanced {
  readonly targetGroupArn: string;
  readonly dnsName: string;
}

/** How long a stopping task's open requests may take; AWS's default of 300 s would keep a deployment waiting for one hung request. */
const DRAIN_SECONDS = 60;

/** An internet-facing ALB with one HTTP listener on port 80 that forwards to the service's target group. Made or brought up to date. */
export async function ensureLoadBalancer(
  session: Session,
  service: { readonly name: string; readonly port: number; readonly healthPath: string; readonly network: ServiceNetwork },
): Promise<Balanced> {
  const elbv2 = await session.elbv2();
  const balancer = await ensureBalancer(elbv2, service);
  const group = await ensureTargetGroup(elbv2, service);
  await ensureListener(elbv2, balancer.LoadBalancerArn ?? "", group.TargetGroupArn ?? "");
  return { targetGroupArn: group.TargetGroupArn ?? "", dnsName: balancer.DNSName ?? "" };
}

async function ensureBalancer(
  elbv2: ElasticLoadBalancingV2Client,
  service: { readonly name: string; readonly network: ServiceNetwork },
): Promise<LoadBalancer> {
  const { CreateLoadBalancerCommand, DescribeLoadBalancersCommand, LoadBalancerNotFoundException } =
    await import("@aws-sdk/client-elastic-load-balancing-v2");
  try {
    const found = await elbv2.send(new DescribeLoadBalancersCommand({ Names: [service.name] }));
    if (found.LoadBalancers?.[0] !== undefined) return found.LoadBalancers[0];
  } catch (error) {
    if (!(error instanceof LoadBalancerNotFoundException)) throw error;
  }
  const created = await elbv2.send(
    new CreateLoadBalancerCommand({
      Name: service.name,
      Type: "application",
      Scheme: "internet-facing",
      Subnets: [...service.network.subnetIds],
      SecurityGroups: [service.network.balancerGroupId],
    }),
  );
  return created.LoadBalancers?.[0] ?? {};
}

async function ensureTargetGroup(
  elbv2: ElasticLoadBalancingV2Client,
  service: { readonly name: string; readonly port: number; readonly healthPath: string; readonly network: ServiceNetwork },
): Promise<TargetGroup> {
  const sdk = await import("@aws-sdk/client-elastic-load-balancing-v2");
  const health = {
    HealthCheckPath: service.healthPath,
    HealthCheckIntervalSeconds: 5,
    HealthCheckTimeoutSeconds: 4,
    HealthyThresholdCount: 2,
    UnhealthyThresholdCount: 2,
    Matcher: { HttpCode: "200-399" },
  };
  let group: TargetGroup | undefined;
  try {
    const found = await elbv2.send(new sdk.DescribeTargetGroupsCommand({ Names: [service.name] }));
    group = found.TargetGroups?.[0];
  } catch (error) {
    if (!(error instanceof sdk.TargetGroupNotFoundException)) throw error;
  }
  if (group !== undefined) {
    if (group.HealthCheckPath !== service.healthPath)
      await elbv2.send(new sdk.ModifyTargetGroupCommand({ TargetGroupArn: group.TargetGroupArn, HealthCheckPath: service.healthPath }));
    return group;
  }
  const created = await elbv2.send(
    new sdk.CreateTargetGroupCommand({
      Name: service.name,
      Protocol: "HTTP",
      Port: service.port,
      VpcId: service.network.vpcId,
      TargetType: "ip",
      ...health,
    }),
  );
  group = created.TargetGroups?.[0] ?? {};
  const attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: String(DRAIN_SECONDS) }];
  await elbv2.send(new sdk.ModifyTargetGroupAttributesCommand({ TargetGroupArn: group.TargetGroupArn, Attributes: attributes }));
  return group;
}

async function ensureListener(elbv2: ElasticLoadBalancingV2Client, loadBalancerArn: string, targetGroupArn: string): Promise<void> {
  const { CreateListenerCommand, DescribeListenersCommand } = await import("@aws-sdk/client-elastic-load-balancing-v2");
  const found = await elbv2.send(new DescribeListenersCommand({ LoadBalancerArn: loadBalancerArn }));
  if (found.Listeners?.some((listener) => listener.Port === 80) === true) return;
  const action = { Type: "forward" as const, TargetGroupArn: targetGroupArn };
  await elbv2.send(new CreateListenerCommand({ LoadBalancerArn: loadBalancerArn, Port: 80, Protocol: "HTTP", DefaultActions: [action] }));
}
