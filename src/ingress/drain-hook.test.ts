import { expect, it } from "vitest";
import type { WorkloadView } from "../contracts/engine.ts";
import type { TargetHealth } from "../contracts/load-balancer.ts";
import { FakeClock } from "../core/clock.ts";
import { createDrainHook } from "./drain-hook.ts";
import type { Elbv2 } from "./ports.ts";

const VIEW = {
  workload: { id: "w", account: "1", region: "r", containers: [{ stopTimeoutSeconds: 30 }] },
  status: { network: { privateIpv4: "10.0.0.5", vpcId: "vpc-1" } },
} as unknown as WorkloadView;

function hookOver(states: Map<string, TargetHealth["state"]>, clock: FakeClock) {
  const deregistered: string[] = [];
  const balancing = {
    targetGroups: async () =>
      ["a", "b"].map((arn) => ({ arn, name: arn, vpcId: "vpc-1", tags: arn === "a" ? { "elbv2.k8s.aws/cluster": "shop" } : {} })),
    targetHealth: async (arn: string) => [...states].map(([ip, state]) => ({ targetGroupArn: arn, ip, port: 80, state })),
    deregisterTargets: async (arn: string, targets: readonly { readonly ip: string }[]) =>
      void deregistered.push(...targets.map(({ ip }) => `${arn} ${ip}`)),
  } as unknown as Elbv2["balancing"];
  const elbv2 = { balancing, registrar: { watch: () => ({ [Symbol.dispose]: () => {} }) } } as unknown as Elbv2;
  return { hook: createDrainHook(elbv2, { name: "drain", clock }), deregistered };
}

it("takes a pod out of its cluster's groups, and holds its containers until it is drained", async () => {
  const clock = new FakeClock();
  const states = new Map<string, TargetHealth["state"]>([
    ["10.0.0.5", "healthy"],
    ["10.0.0.6", "healthy"],
  ]);
  const { hook, deregistered } = hookOver(states, clock);
  expect(await hook.prestop?.(VIEW)).toMatchObject({ done: false, waitingFor: "connections to drain in a" });
  expect(deregistered).toEqual(["a 10.0.0.5"]);
  states.set("10.0.0.5", "draining");
  expect(await hook.prestop?.(VIEW)).toMatchObject({ done: false });
  expect(deregistered).toHaveLength(1);
  // Registered anew by somebody who did not know yet.
  states.set("10.0.0.5", "initial");
  expect(await hook.prestop?.(VIEW)).toMatchObject({ done: false });
  expect(deregistered).toHaveLength(2);
  states.delete("10.0.0.5");
  expect(await hook.prestop?.(VIEW)).toEqual({ done: true });
});

it("holds nothing up for longer than half the grace period, nor what is no target", async () => {
  const clock = new FakeClock();
  const { hook } = hookOver(new Map([["10.0.0.5", "draining"]]), clock);
  expect(await hook.prestop?.(VIEW)).toMatchObject({ done: false });
  await clock.advance(15_000);
  expect(await hook.prestop?.(VIEW)).toEqual({ done: true });
  expect(await hookOver(new Map(), clock).hook.prestop?.(VIEW)).toEqual({ done: true });
});
