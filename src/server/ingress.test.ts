import { afterEach, beforeEach, expect, it } from "vitest";
import type { DaemonSupervisor } from "../contracts/daemon.ts";
import { systemClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { createSimulatedNetwork } from "../engines/simulated/index.ts";
import { deploy, removeStack } from "../ingress/deploy.ts";
import type { Model } from "../ingress/model.ts";
import type { IngressCluster, IngressPorts } from "../ingress/ports.ts";
import { createLoadBalancers, type LoadBalancers } from "../loadbalancer/load-balancers.ts";
import { createElbv2Service } from "../services/elbv2/service.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { elbv2Caller } from "./ingress-ports.ts";

/** Models of Services and Ingresses, carried out by ELBv2's own operations over the load balancers' records. */

const CLUSTER: IngressCluster = {
  account: "100000000000",
  region: "us-east-1",
  key: "100000000000/us-east-1/shop",
  name: "shop",
  arn: "arn:aws:eks:us-east-1:100000000000:cluster/shop",
  uid: "0123",
  vpcId: "vpc-1",
  subnetIds: ["subnet-a", "subnet-b"],
  address: "10.0.0.9",
  authority: "PEM",
  clusterGroupId: "sg-cluster",
};
const STACK = { kind: "ingress", id: "default/web" } as const;
const OWNER = { account: CLUSTER.account, region: CLUSTER.region, vpcId: CLUSTER.vpcId, cluster: CLUSTER, stack: STACK };
const TAGS = { "elbv2.k8s.aws/cluster": "shop", "tidegate.dev/cluster-uid": "0123", "ingress.k8s.aws/stack": "default/web" };

let balancers: LoadBalancers;
let ports: Pick<IngressPorts, "elbv2" | "network">;
let groups: Map<string, readonly number[]>;
let inUse: boolean;

beforeEach(async () => {
  const subnets = { "subnet-a": { vpcId: "vpc-1", cidr: "10.0.0.0/24" }, "subnet-b": { vpcId: "vpc-1", cidr: "10.0.1.0/24" } };
  balancers = await createLoadBalancers({
    config: { instanceId: randomIds.hex(6), dataDir: "/nonexistent/data", runDir: "/nonexistent/run", engine: "simulated" },
    store: createMemoryStore(),
    clock: systemClock,
    ids: randomIds,
    logger: silentLogger,
    network: createSimulatedNetwork({ subnets }),
    supervisor: { list: () => [] } as unknown as DaemonSupervisor,
  });
  await balancers.start();
  groups = new Map();
  inUse = false;
  const zoneOf = (subnetId: string): string => `us-east-1${subnetId.at(-1)}`;
  const service = createElbv2Service({
    balancing: balancers.api,
    network: {
      subnets: async (_scope, ids) => ids.map((subnetId) => ({ subnetId, vpcId: "vpc-1", availabilityZone: zoneOf(subnetId) })),
      securityGroups: async (_scope, ids) => ids.map((groupId) => ({ groupId, vpcId: "vpc-1" })),
      defaultSecurityGroup: async () => "sg-default",
    },
  });
  ports = {
    elbv2: {
      balancing: balancers.api,
      registrar: balancers.registrar,
      call: elbv2Caller(service, { clock: systemClock, ids: randomIds, logger: silentLogger }),
    },
    network: {
      subnets: async () => Object.keys(subnets).map((subnetId) => ({ subnetId, availabilityZone: zoneOf(subnetId), tags: {} })),
      groups: async () => [...groups.keys()].map((groupId) => ({ groupId, name: groupId })),
      async ensureGroup({ name, ports: open }) {
        groups.set(`sg-${name}`, open);
        return `sg-${name}`;
      },
      deleteGroup: async (_scope, groupId) => !inUse && groups.delete(groupId),
    },
  };
});
afterEach(() => balancers.close());

const to = (groupId: string) => ({ type: "forward", targets: [{ groupId, weight: 1 }] }) as const;
const rule = (path: string, action: Model["listeners"][number]["action"]): Model["listeners"][number]["rules"][number] => ({
  conditions: [{ field: "path-pattern", values: [path] }],
  action,
});

function model(rules: Model["listeners"][number]["rules"], more: Partial<Model["balancer"]> = {}): Model {
  const healthCheck = {
    protocol: "HTTP",
    port: "traffic-port",
    path: "/",
    intervalSeconds: 15,
    timeoutSeconds: 5,
    healthyThreshold: 2,
    unhealthyThreshold: 2,
    matcher: "200",
  } as const;
  return {
    balancer: {
      name: "web",
      type: "application",
      scheme: "internal",
      access: { kind: "managed", cidrs: ["0.0.0.0/0"] },
      attributes: {},
      tags: TAGS,
      ...more,
    },
    groups: ["one", "two"].map((id) => ({
      id,
      name: id,
      protocol: "HTTP",
      port: 80,
      healthCheck,
      attributes: { "deregistration_delay.timeout_seconds": "5" },
      tags: TAGS,
      source: { namespace: "default", service: id, portName: "", selector: {} },
    })),
    listeners: [{ port: 80, protocol: "HTTP", action: to("one"), rules, tags: TAGS }],
  };
}

const all = async (): Promise<unknown> => ({
  balancers: (await balancers.api.loadBalancers(OWNER)).map(({ record }) => record),
  groups: await balancers.api.targetGroups(OWNER),
  listeners: await balancers.api.listeners(OWNER),
  rules: await balancers.api.rules(OWNER),
});
const carryOut = (wanted: Model) => deploy(ports, CLUSTER, { stack: STACK, model: wanted });
const paths = async (): Promise<unknown> =>
  (await balancers.api.rules(OWNER)).toSorted((a, b) => a.priority - b.priority).map(({ priority, conditions }) => [priority, conditions[0]]);
const at = (priority: number, path: string): unknown => [priority, { field: "path-pattern", values: [path] }];

it("makes what the model says, once, and puts right what somebody changed", async () => {
  const gone = { type: "fixed-response", statusCode: "410" } as const;
  const old = { type: "redirect", statusCode: "HTTP_301", path: "/new" } as const;
  const wanted = model([rule("/a", to("two")), rule("/b", gone), rule("/c", old)]);
  const first = await carryOut(wanted);
  expect(await paths()).toEqual([at(1, "/a"), at(2, "/b"), at(3, "/c")]);
  expect((await balancers.api.loadBalancers(OWNER))[0]?.record).toMatchObject({
    arn: first.balancerArn,
    securityGroupIds: ["sg-web", "sg-cluster"],
    subnets: [{ subnetId: "subnet-a" }, { subnetId: "subnet-b" }],
  });
  expect(groups.get("sg-web")).toEqual([80]);
  const before = await all();
  expect(await carryOut(wanted)).toEqual(first);
  expect(await all()).toEqual(before);
  for (const { arn } of await balancers.api.listeners(OWNER)) await balancers.api.deleteListener(arn);
  expect(await carryOut(wanted)).toEqual(first);
  expect(await paths()).toEqual([at(1, "/a"), at(2, "/b"), at(3, "/c")]);
});

it("brings rules to their places whether more or fewer come", async () => {
  const [a, b, c] = ["/a", "/b", "/c"].map((path) => rule(path, to("two")));
  if (a === undefined || b === undefined || c === undefined) throw new Error("three rules");
  await carryOut(model([a, b]));
  await carryOut(model([c, a, b]));
  expect(await paths()).toEqual([at(1, "/c"), at(2, "/a"), at(3, "/b")]);
  await carryOut(model([b]));
  expect(await paths()).toEqual([at(1, "/b")]);
});

it("makes a load balancer anew for what it cannot change, with the same groups", async () => {
  const first = await carryOut(model([]));
  const second = await carryOut(model([], { scheme: "internet-facing" }));
  expect(second.balancerArn).not.toBe(first.balancerArn);
  expect(second.groups).toEqual(first.groups);
  expect((await balancers.api.loadBalancers(OWNER)).map(({ record }) => record.arn)).toEqual([second.balancerArn]);
});

it("says what ELBv2 says, and goes on from there", async () => {
  const wrong = model([rule("/a", { type: "fixed-response", statusCode: "999" })]);
  await expect(carryOut(wrong)).rejects.toThrow("The StatusCode of a fixed response must be 2XX, 4XX or 5XX");
  await carryOut(model([rule("/a", to("two"))]));
  expect(await paths()).toEqual([at(1, "/a")]);
});

it("takes all away, and only what is its own", async () => {
  await carryOut(model([rule("/a", to("two"))]));
  const other = { ...OWNER, cluster: { name: "shop", uid: "of-a-later-cluster" } };
  expect(await removeStack(ports, { ...other })).toBe(true);
  expect(await balancers.api.loadBalancers(OWNER)).toHaveLength(1);
  inUse = true;
  groups.set("sg-web", [80]);
  expect(await removeStack(ports, OWNER)).toBe(false);
  inUse = false;
  expect(await removeStack(ports, OWNER)).toBe(true);
  expect(await all()).toEqual({ balancers: [], groups: [], listeners: [], rules: [] });
});
