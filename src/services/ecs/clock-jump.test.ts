import { describe, expect, it } from "vitest";
import { createMemoryStore } from "../../store/memory/memory-store.ts";
import { definition, NETWORK, setUpEcs } from "./testing.ts";

const HOUR_MS = 3_600_000;

describe.each([HOUR_MS, -HOUR_MS])("a wall clock that is set by %i ms", (jumpMs) => {
  it("stops and starts no task of a service, and a roll-out after it goes on as ever", async () => {
    await using test = await setUpEcs({ store: createMemoryStore() });
    await test.call("CreateCluster", {});
    await test.call("RegisterTaskDefinition", definition());
    await test.call("CreateService", { serviceName: "web", taskDefinition: "web", desiredCount: 3, networkConfiguration: NETWORK });
    await test.settle(20_000);
    const before = test.engine.running().map((view) => view.workload.id);
    test.clock.jump(jumpMs);
    await test.call("UpdateService", { service: "web", desiredCount: 3 });
    await test.settle(120_000);
    expect(test.engine.running().map((view) => view.workload.id)).toEqual(before);
    expect(test.engine.starts).toBe(3);
    await test.call("UpdateService", { service: "web", forceNewDeployment: true });
    await test.settle(60_000);
    const { services } = await test.call("DescribeServices", { services: ["web"] });
    expect(services[0].deployments).toMatchObject([{ rolloutState: "COMPLETED", runningCount: 3 }]);
    expect(test.engine.starts).toBe(6);
  });

  it("keeps a failing service's back-off within its bounds", async () => {
    await using test = await setUpEcs({ store: createMemoryStore() });
    test.engine.behaviour = "fails";
    await test.call("CreateCluster", {});
    await test.call("RegisterTaskDefinition", definition());
    await test.call("CreateService", { serviceName: "web", taskDefinition: "web", desiredCount: 1, networkConfiguration: NETWORK });
    await test.settle(10_000);
    test.clock.jump(jumpMs);
    test.engine.behaviour = "runs";
    await test.settle(15 * 60_000);
    await test.settle(10_000);
    expect(test.engine.running()).toHaveLength(1);
  });
});
