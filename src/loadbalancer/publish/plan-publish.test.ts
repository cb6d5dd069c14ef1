import { expect, it } from "vitest";
import type { ListenerRecord, LoadBalancerRecord, LoadBalancerStatus } from "../../contracts/load-balancing.ts";
import { planPublish, type PublishFacts } from "./plan-publish.ts";

const HOME = { account: "100000000000", region: "us-east-1" };

function balancer(name: string, more: Partial<LoadBalancerRecord> = {}): LoadBalancerRecord {
  const { region } = { ...HOME, ...more };
  return {
    ...HOME,
    arn: `arn:aws:elasticloadbalancing:${region}:${HOME.account}:loadbalancer/app/${name}/0123456789abcdef`,
    name,
    dnsName: `${name}.internal`,
    scheme: "internet-facing",
    vpcId: `vpc-${region}`,
    subnets: [],
    securityGroupIds: [],
    attributes: {},
    tags: {},
    createdAtMs: 0,
    deleting: false,
    ...more,
  };
}

function facts(balancers: readonly LoadBalancerRecord[], ports: readonly number[], status?: LoadBalancerStatus): PublishFacts {
  const active: LoadBalancerStatus = { state: "active", addresses: [{ subnetId: "subnet-a", ip: "172.31.0.5" }] };
  const listenersOf = ({ arn }: LoadBalancerRecord) => ports.map((port) => ({ loadBalancerArn: arn, port }) as ListenerRecord);
  return { balancers, statuses: new Map(balancers.map(({ arn }) => [arn, status ?? active])), listeners: balancers.flatMap(listenersOf), home: HOME };
}

function outcome(found: PublishFacts, loadBalancer = "web", port = 80): unknown {
  const [plan] = planPublish([{ address: "0.0.0.0", port, loadBalancer }], found);
  return plan !== undefined && "port" in plan ? plan.port : plan?.reason;
}

it("leads to the load balancer's first address once it has a listener on that port", () => {
  expect(outcome(facts([balancer("web")], [80]))).toEqual({ address: "0.0.0.0", port: 80, vpcId: "vpc-us-east-1", target: "172.31.0.5" });
  expect(outcome(facts([balancer("web")], [8080, 443]))).toContain("no listener on port 80 (it has listeners on 443, 8080)");
  expect(outcome(facts([balancer("web")], []))).toContain("(it has none at all)");
});

it("waits for what is not there, and closes for what goes", () => {
  expect(outcome(facts([], [80]))).toBe("there is no load balancer web yet: the port opens when it comes");
  expect(outcome(facts([balancer("web", { deleting: true })], [80]))).toContain("there is no load balancer web yet");
  const failed = { state: "failed", reason: "no free address", addresses: [] } as const;
  expect(outcome(facts([balancer("web")], [80], failed))).toBe("load balancer web has no address yet: no free address");
});

it("prefers a name of its own account and region, takes another's where it is the only one, and asks for an ARN where it is not", () => {
  const [west, north] = [balancer("web", { region: "eu-west-1" }), balancer("web", { region: "eu-north-1" })];
  expect(outcome(facts([west, balancer("web")], [80]))).toMatchObject({ vpcId: "vpc-us-east-1" });
  expect(outcome(facts([west], [80]))).toMatchObject({ vpcId: "vpc-eu-west-1" });
  expect(outcome(facts([west, north], [80]))).toContain("2 load balancers are named web, in 100000000000/eu-west-1, 100000000000/eu-north-1");
  expect(outcome(facts([west, north], [80]), north.arn)).toMatchObject({ vpcId: "vpc-eu-north-1" });
});
