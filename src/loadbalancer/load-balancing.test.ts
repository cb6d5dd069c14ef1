import { beforeEach, expect, it } from "vitest";
import type { ListenerRecord, LoadBalancerView, LoadBalancing } from "../contracts/load-balancing.ts";
import type { Store } from "../contracts/store.ts";
import { FakeClock } from "../core/clock.ts";
import { randomIds } from "../core/ids.ts";
import { createMemoryStore } from "../store/memory/memory-store.ts";
import { createLoadBalancing } from "./load-balancing.ts";
import { claims, listenerRecords, ruleRecords } from "./records.ts";

const scope = { account: "100000000000", region: "us-east-1" };
const answer = { type: "fixed-response", statusCode: "200" } as const;
let store: Store;
let api: LoadBalancing;

beforeEach(() => {
  store = createMemoryStore();
  api = createLoadBalancing({ store, clock: new FakeClock(), ids: randomIds });
});

function balancer(): Promise<LoadBalancerView> {
  const parts = { subnets: [], securityGroupIds: [], attributes: {}, tags: {} };
  return api.createLoadBalancer({ ...scope, ...parts, name: "web", scheme: "internal", vpcId: "vpc-1" });
}

function listener(loadBalancerArn: string, port = 80): Promise<ListenerRecord> {
  return api.createListener({ loadBalancerArn, port, protocol: "HTTP", defaultAction: answer, attributes: {}, tags: {} });
}

const left = async (): Promise<readonly string[]> =>
  (await Promise.all([store.list(listenerRecords), store.list(ruleRecords), store.list(claims)])).flat().map(({ key }) => key);

/** Lets the other caller come so far, whichever it is. */
const AHEAD = [0, 1, 2, 3, 4, 6, 8, 12];
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

it.each(AHEAD)("leaves no listener of a load balancer that is deleted %i turns ahead of its making", async (count) => {
  const { record } = await balancer();
  const deleted = api.deleteLoadBalancer(record.arn);
  await turns(count);
  await Promise.allSettled([deleted, listener(record.arn)]);
  expect(await left()).toEqual([]);
});

it.each(AHEAD)("leaves no rule of a listener that is deleted %i turns ahead of its making", async (count) => {
  const { record } = await balancer();
  const { arn } = await listener(record.arn);
  const deleted = api.deleteListener(arn);
  await turns(count);
  const rule = api.createRule({ listenerArn: arn, priority: 1, conditions: [], action: answer, tags: {} });
  await Promise.allSettled([deleted, rule]);
  await api.deleteLoadBalancer(record.arn);
  expect(await left()).toEqual([]);
});

it("takes the listeners and rules of a load balancer along", async () => {
  const { record } = await balancer();
  const { arn } = await listener(record.arn);
  await listener(record.arn, 81);
  await api.createRule({ listenerArn: arn, priority: 1, conditions: [], action: answer, tags: {} });
  await api.deleteLoadBalancer(record.arn);
  expect(await left()).toEqual([]);
});
