import { afterEach, beforeEach, expect, it } from "vitest";
import type { DaemonSupervisor } from "../../src/contracts/daemon.ts";
import { systemClock } from "../../src/core/clock.ts";
import { randomIds } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createSimulatedNetwork } from "../../src/engines/simulated/index.ts";
import { createLoadBalancers, type LoadBalancers } from "../../src/loadbalancer/load-balancers.ts";
import { createMemoryStore } from "../../src/store/memory/memory-store.ts";

const SCOPE = { account: "123456789012", region: "us-east-1" };
const VPC = "vpc-1";
const TARGET = { ip: "10.0.0.9", port: 8080 };
let balancers: LoadBalancers;

beforeEach(async () => {
  balancers = await createLoadBalancers({
    config: { instanceId: randomIds.hex(6), dataDir: "/nonexistent/data", runDir: "/nonexistent/run", engine: "simulated" },
    store: createMemoryStore(),
    clock: systemClock,
    ids: randomIds,
    logger: silentLogger,
    network: createSimulatedNetwork({
      subnets: { "subnet-a": { vpcId: VPC, cidr: "10.0.0.0/24" }, "subnet-b": { vpcId: VPC, cidr: "10.0.1.0/24" } },
    }),
    // It can start nothing: what tries fails.
    supervisor: { list: () => [] } as unknown as DaemonSupervisor,
  });
  await balancers.start();
});

afterEach(() => balancers.close());

async function makeGroup(): Promise<string> {
  const kind = { protocol: "HTTP", protocolVersion: "HTTP1", targetType: "ip" } as const;
  const rhythm = { intervalSeconds: 5, timeoutSeconds: 2, healthyThreshold: 5, unhealthyThreshold: 2 };
  const healthCheck = { protocol: "HTTP", port: "traffic-port", path: "/", matcher: "200", ...rhythm } as const;
  return (await balancers.api.createTargetGroup({ ...SCOPE, ...kind, name: "web", port: 80, vpcId: VPC, healthCheck, attributes: {}, tags: {} })).arn;
}

async function serve(targetGroupArn: string): Promise<string> {
  const subnets = ["a", "b"].map((zone) => ({ subnetId: `subnet-${zone}`, availabilityZone: `us-east-1${zone}` }));
  const scheme = "internal" as const;
  const common = { attributes: {}, tags: {} };
  const { record } = await balancers.api.createLoadBalancer({ ...SCOPE, ...common, name: "web", scheme, vpcId: VPC, subnets, securityGroupIds: [] });
  const defaultAction = { type: "forward" as const, targetGroupArn };
  await balancers.api.createListener({ ...common, loadBalancerArn: record.arn, port: 80, protocol: "HTTP", defaultAction });
  return record.arn;
}

it("with the simulated engine a target is healthy once its group is in use, and drains at once", async () => {
  const { api, registrar } = balancers;
  const group = await makeGroup();
  const health = async (): Promise<string | undefined> => (await registrar.health(group, TARGET))?.state;
  await registrar.register(group, TARGET);
  const arn = await serve(group);
  await expect.poll(health).toBe("healthy");
  expect((await api.loadBalancers(SCOPE))[0]).toMatchObject({ status: { state: "active", addresses: [{}, {}] } });
  await registrar.deregister(group, TARGET);
  await expect.poll(health).toBe(undefined);
  await api.deleteLoadBalancer(arn);
  await api.deleteTargetGroup(group);
  expect(await api.targetGroups(SCOPE)).toEqual([]);
});
