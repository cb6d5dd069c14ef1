import { expect, it } from "vitest";
import type { WorkloadView } from "../../contracts/engine.ts";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { createLoadBalancerHook } from "./load-balancer-hook.ts";
import { createLogGroupHook } from "./log-group-hook.ts";
import { definition, FakeTargets, NETWORK, setUpEcs } from "./testing.ts";

const GROUP = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/1";

async function aView(container: object, loadBalancers: readonly object[]): Promise<WorkloadView> {
  await using test = await setUpEcs({ store: createMemoryStore() });
  await test.call("CreateCluster", {});
  await test.call("RegisterTaskDefinition", definition("web", container, { executionRoleArn: "exec" }));
  await test.call("CreateService", { serviceName: "web", taskDefinition: "web", desiredCount: 1, networkConfiguration: NETWORK, loadBalancers });
  await test.settle();
  const [view] = test.engine.running();
  if (view === undefined) throw new Error("no task runs");
  return view;
}

it("registers before RUNNING, and holds the stop until the target has drained", async () => {
  const targets = new FakeTargets();
  const hook = createLoadBalancerHook(targets);
  const view = await aView({}, [{ targetGroupArn: GROUP, containerName: "app", containerPort: 8080 }]);
  const target = { ip: view.status.network?.privateIpv4 ?? "", port: 8080 };
  const woken: string[] = [];
  using _sources = hook.sources?.((id) => woken.push(id)) ?? { [Symbol.dispose]() {} };
  expect(await hook.poststart?.(view)).toEqual({ done: true });
  expect((await targets.health(GROUP, target))?.state).toBe("initial");
  expect(await hook.prestop?.(view)).toMatchObject({ done: false, waitingFor: `connections to drain in ${GROUP}` });
  expect((await targets.health(GROUP, target))?.state).toBe("draining");
  woken.length = 0;
  targets.drained(GROUP, target);
  expect(woken).toEqual([view.workload.id]);
  expect(await hook.prestop?.(view)).toEqual({ done: true });
  expect(await hook.stop?.(view)).toEqual({ done: true });
});

it("holds nothing up for a target that was never registered", async () => {
  const hook = createLoadBalancerHook(new FakeTargets());
  const view = await aView({}, [{ targetGroupArn: GROUP, containerName: "app", containerPort: 8080 }]);
  expect(await hook.prestop?.(view)).toEqual({ done: true });
});

it("fails a task whose log group is missing in AWS's words, and makes the group where it may", async () => {
  const options = { "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web" };
  const made: string[] = [];
  const hook = createLogGroupHook({ exists: async () => false, create: async (_scope, group) => void made.push(group) });
  const view = await aView({ logConfiguration: { logDriver: "awslogs", options } }, []);
  await expect(hook.prestart?.(view)).rejects.toThrow(
    "ResourceInitializationError: failed to validate logger args: The task cannot find the Amazon CloudWatch log group",
  );
  const making = await aView({ logConfiguration: { logDriver: "awslogs", options: { ...options, "awslogs-create-group": "true" } } }, []);
  expect(await hook.prestart?.(making)).toEqual({ done: true });
  expect(made).toEqual(["/g"]);
});
