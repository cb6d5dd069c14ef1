/** A service behind a load balancer, as a user has it: two tasks that answer with their own names. */
import { CreateListenerCommand, CreateLoadBalancerCommand, CreateTargetGroupCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateServiceCommand, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import { until } from "./instance.ts";
import type { Stack } from "./stack.ts";

/** A load balancer on port 80, whose one listener forwards to the target group of its name. */
export async function webLoadBalancer(
  stack: Stack,
  group: string,
  { name = "web" }: { readonly name?: string } = {},
): Promise<{ readonly dnsName: string; readonly targetGroupArn: string }> {
  const { LoadBalancers } = await stack.elb.send(new CreateLoadBalancerCommand({ Name: name, Subnets: [...stack.subnets], SecurityGroups: [group] }));
  const { LoadBalancerArn, DNSName: dnsName = "" } = LoadBalancers?.[0] ?? {};
  const { TargetGroups } = await stack.elb.send(
    new CreateTargetGroupCommand({
      Name: name,
      Protocol: "HTTP",
      Port: 8080,
      VpcId: stack.vpcId,
      TargetType: "ip",
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 2,
    }),
  );
  const targetGroupArn = TargetGroups?.[0]?.TargetGroupArn ?? "";
  await stack.elb.send(
    new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port: 80, DefaultActions: [{ Type: "forward", TargetGroupArn: targetGroupArn }] }),
  );
  return { dnsName, targetGroupArn };
}

export interface WebService {
  readonly url: string;
  readonly dnsName: string;
  readonly targetGroupArn: string;
}

/** Answers once the load balancer does. */
export async function startWebService(
  stack: Stack,
  options: { readonly desiredCount: number; readonly environment?: Readonly<Record<string, string>>; readonly script?: string },
): Promise<WebService> {
  const group = await stack.group("web", [{ port: 80, fromCidr: "0.0.0.0/0" }]);
  const targets = await stack.group("web-targets", [{ port: 8080, fromGroup: group }]);
  const { dnsName, targetGroupArn } = await webLoadBalancer(stack, group);
  const script = `mkdir -p /www; hostname > /www/index.html; ${options.script ?? ""} exec httpd -f -p 8080 -h /www`;
  const environment = Object.entries(options.environment ?? {}).map(([name, value]) => ({ name, value }));
  const taskDefinition = await stack.define("web", [
    { name: "web", command: ["sh", "-c", script], portMappings: [{ containerPort: 8080 }], environment },
  ]);
  await stack.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition,
      desiredCount: options.desiredCount,
      launchType: "FARGATE",
      networkConfiguration: stack.network(targets),
      loadBalancers: [{ targetGroupArn, containerName: "web", containerPort: 8080 }],
    }),
  );
  await webServiceStable(stack);
  const url = `http://${dnsName}/`;
  await until("the load balancer answers", async () => (await fetch(url)).status === 200);
  return { url, dnsName, targetGroupArn };
}

export function webServiceStable(stack: Stack): Promise<unknown> {
  return waitUntilServicesStable({ client: stack.ecs, maxWaitTime: 90, minDelay: 1, maxDelay: 2 }, { cluster: "default", services: ["web"] });
}
