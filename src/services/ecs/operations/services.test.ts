import { afterEach, beforeEach, expect, it } from "vitest";
import { createMemoryStore } from "../../../store/memory/memory-store.ts";
import { type Answer, definition, type EcsUnderTest, IMAGE_DIGEST, NETWORK, setUpEcs } from "../testing.ts";

const GROUP = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/web/1";
const BALANCED = [{ targetGroupArn: GROUP, containerName: "app", containerPort: 8080 }];

let test: EcsUnderTest;
beforeEach(async () => {
  test = await setUpEcs({ store: createMemoryStore() });
  await test.call("CreateCluster", {});
  await test.call("RegisterTaskDefinition", definition());
});
afterEach(() => test[Symbol.asyncDispose]());

const CREATE = { serviceName: "web", taskDefinition: "web", desiredCount: 2, launchType: "FARGATE", networkConfiguration: NETWORK } as const;
const shown = async (include: string[] = []): Promise<Answer> => (await test.call("DescribeServices", { services: ["web"], include })).services[0];
const messages = async (): Promise<string[]> => (await shown()).events.map((event: { message: string }) => event.message);
/** What the waiter services_stable asks. */
const isStable = (service: Answer): boolean => service.deployments.length === 1 && service.runningCount === service.desiredCount;

async function health(state: "healthy" | "unhealthy" | "initial", which = (_deployment: string): boolean => true): Promise<void> {
  for (const { workload, status } of test.engine.running()) {
    if (!which(workload.labels["deploymentId"] ?? "")) continue;
    test.targets.set(GROUP, { ip: status.network?.privateIpv4 ?? "", port: 8080 }, state);
  }
  await test.settle();
}

it("answers with AWS's defaults and comes to a steady state", async () => {
  const { service } = await test.call("CreateService", { ...CREATE, tags: [{ key: "a", value: "b" }] });
  expect(service).toMatchObject({
    serviceArn: "arn:aws:ecs:us-east-1:111122223333:service/default/web",
    status: "ACTIVE",
    launchType: "FARGATE",
    platformVersion: "LATEST",
    schedulingStrategy: "REPLICA",
    propagateTags: "NONE",
    deploymentConfiguration: {
      maximumPercent: 200,
      minimumHealthyPercent: 100,
      deploymentCircuitBreaker: { enable: false, rollback: false },
      strategy: "ROLLING",
    },
    deployments: [{ status: "PRIMARY", rolloutState: "IN_PROGRESS", desiredCount: 2, runningCount: 0, failedTasks: 0 }],
    networkConfiguration: NETWORK,
    events: [],
    tags: [{ key: "a", value: "b" }],
  });
  await test.settle(6_000);
  const steady = await shown();
  expect(isStable(steady)).toBe(true);
  expect(steady.deployments[0].rolloutState).toBe("COMPLETED");
  const [last, completed, started] = await messages();
  expect(last).toBe("(service web) has reached a steady state.");
  expect(completed).toMatch(/^\(service web\) \(deployment ecs-svc\/\d{19}\) deployment completed\.$/);
  expect(started).toMatch(/^\(service web\) has started 2 tasks: \(task [0-9a-f]{32}\) \(task [0-9a-f]{32}\)\.$/);
  const { taskArns } = await test.call("ListTasks", { serviceName: "web" });
  const { tasks } = await test.call("DescribeTasks", { tasks: taskArns });
  expect(tasks[0]).toMatchObject({ group: "service:web", startedBy: steady.deployments[0].id, containers: [{ imageDigest: IMAGE_DIGEST }] });
});

it("goes to sleep when it is steady: nothing polls", async () => {
  await test.call("CreateService", CREATE);
  await test.settle(10_000);
  expect(test.clock.pendingDelaysMs().filter((delayMs) => delayMs < 60_000)).toEqual([]);
});

it("replaces a task that was stopped, and one that died", async () => {
  await test.call("CreateService", CREATE);
  await test.settle(20_000);
  const [first, second] = test.engine.running();
  await test.call("StopTask", { task: first?.workload.labels["taskArn"] });
  test.engine.end(second?.workload.id ?? "", 1);
  await test.settle(6_000);
  expect(isStable(await shown())).toBe(true);
  expect(test.engine.running()).toHaveLength(2);
  expect(test.engine.starts).toBe(4);
});

it("rolls a balanced service over without ever having fewer healthy tasks than asked", async () => {
  await test.call("CreateService", { ...CREATE, loadBalancers: BALANCED });
  await test.settle();
  await health("healthy");
  expect((await shown()).deployments[0].rolloutState).toBe("COMPLETED");
  const old = test.engine.running().map((view) => view.workload.id);
  await test.call("RegisterTaskDefinition", definition("web", { image: "node:27" }));
  const { service } = await test.call("UpdateService", { service: "web", taskDefinition: "web" });
  expect(service.deployments.map((each: Answer) => each.status)).toEqual(["PRIMARY", "ACTIVE"]);
  await test.settle();
  expect(test.engine.running()).toHaveLength(4);
  await health("initial", (id) => id === service.deployments[0].id);
  expect(old.every((id) => test.engine.views.get(id)?.status.state === "RUNNING")).toBe(true);
  await health("healthy", (id) => id === service.deployments[0].id);
  await test.settle();
  const after = await shown();
  expect(isStable(after)).toBe(true);
  expect(after.taskDefinition).toMatch(/web:2$/);
  expect(test.engine.running().map((view) => view.workload.containers[0]?.image)).toEqual(["node:27", "node:27"]);
  expect(test.engine.views.get(old[0] ?? "")?.status.stop).toEqual({
    code: "ServiceSchedulerInitiated",
    reason: `Scaling activity initiated by (deployment ${after.deployments[0].id})`,
  });
  const told = await messages();
  expect(told).toContain("(service web) has begun draining connections on 2 tasks.");
  expect(told).toContain(`(service web) registered 2 targets in (target-group ${GROUP})`);
});

it("replaces a task that its load balancer finds unhealthy", async () => {
  await test.call("CreateService", { ...CREATE, loadBalancers: BALANCED, desiredCount: 1 });
  await test.settle();
  await health("healthy");
  const [sick] = test.engine.running();
  test.targets.set(GROUP, { ip: sick?.status.network?.privateIpv4 ?? "", port: 8080 }, "unhealthy");
  await test.settle();
  expect(test.engine.running()).toHaveLength(2);
  const fresh = test.engine.running().find((view) => view.workload.id !== sick?.workload.id);
  test.targets.set(GROUP, { ip: fresh?.status.network?.privateIpv4 ?? "", port: 8080 }, "healthy");
  await test.settle();
  expect(test.engine.running().map((view) => view.workload.id)).toEqual([fresh?.workload.id]);
  const told = await messages();
  expect(told.some((text) => text.includes("is unhealthy in (target-group") && text.includes("Health checks failed with these codes: [503]"))).toBe(
    true,
  );
  expect(told.some((text) => text.endsWith("Amazon ECS replaced 1 tasks due to an unhealthy status."))).toBe(true);
});

it("rolls back by the circuit breaker to what ran before", async () => {
  await test.call("CreateService", { ...CREATE, deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } } });
  await test.settle(20_000);
  const good = (await shown()).deployments[0].id;
  await test.call("RegisterTaskDefinition", definition("web", { image: "broken" }));
  test.engine.behaviour = "fails";
  await test.call("UpdateService", { service: "web", taskDefinition: "web:2" });
  await test.settle(5_000);
  test.engine.behaviour = "runs";
  await test.settle(10_000);
  const after = await shown();
  expect(after.deployments).toMatchObject([{ id: good, status: "PRIMARY", rolloutState: "COMPLETED" }]);
  expect(after.taskDefinition).toMatch(/web:1$/);
  expect(await messages()).toContain(`(service web) rolling back to deployment ${good}.`);
});

it("scales without a deployment", async () => {
  await test.call("CreateService", CREATE);
  await test.settle(10_000);
  const id = (await shown()).deployments[0].id;
  await test.call("UpdateService", { service: "web", desiredCount: 5 });
  await test.settle(10_000);
  expect(test.engine.running()).toHaveLength(5);
  await test.call("UpdateService", { service: "web", desiredCount: 1 });
  await test.settle(10_000);
  expect(test.engine.running()).toHaveLength(1);
  expect((await shown()).deployments.map((each: Answer) => each.id)).toEqual([id]);
  await test.call("UpdateService", { service: "web", forceNewDeployment: true });
  await test.settle(10_000);
  expect((await shown()).deployments[0].id).not.toBe(id);
});

it("says once that there is no capacity and tries again", async () => {
  test.engine.room = 1;
  await test.call("CreateService", CREATE);
  await test.settle(30_000);
  expect(test.engine.running()).toHaveLength(1);
  const told = (await messages()).filter((text) => text.includes("Capacity is unavailable"));
  expect(told).toEqual([
    "(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.",
  ]);
  test.engine.room = 5;
  await test.settle(120_000);
  expect(isStable(await shown())).toBe(true);
});

it("deletes by draining; the name is free when it is INACTIVE", async () => {
  await test.call("CreateService", CREATE);
  await test.settle(10_000);
  expect(await test.refusal("DeleteService", { service: "web" })).toBe(
    "InvalidParameterException: The service cannot be stopped while it is scaled above 0.",
  );
  test.engine.behaviour = "still";
  const { service } = await test.call("DeleteService", { service: "web", force: true });
  expect(service).toMatchObject({ status: "DRAINING", desiredCount: 0 });
  await test.settle();
  expect(await test.refusal("CreateService", CREATE)).toBe("InvalidParameterException: Unable to Start a service that is still Draining.");
  expect((await test.call("ListServices", {})).serviceArns).toEqual([]);
  expect(await test.refusal("DeleteCluster", { cluster: "default" })).toMatch(/^ClusterContainsServicesException/);
  for (const view of test.engine.live()) test.engine.end(view.workload.id, 0);
  await test.settle();
  expect((await shown()).status).toBe("INACTIVE");
  expect(await test.refusal("UpdateService", { service: "web", desiredCount: 1 })).toBe("ServiceNotActiveException: Service was not ACTIVE.");
  test.engine.behaviour = "runs";
  await test.call("CreateService", CREATE);
  await test.settle(10_000);
  expect(isStable(await shown())).toBe(true);
  await test.call("DeleteService", { service: "web", force: true });
  await test.settle(3_700_000);
  expect((await test.call("DescribeServices", { services: ["web"] })).failures).toEqual([
    { arn: "arn:aws:ecs:us-east-1:111122223333:service/default/web", reason: "MISSING" },
  ]);
});

it("is idempotent by the request, and refuses another one", async () => {
  const first = await test.call("CreateService", CREATE);
  const again = await test.call("CreateService", { ...CREATE, clientToken: "x" });
  expect(again.service.deployments[0].id).toBe(first.service.deployments[0].id);
  expect(await test.refusal("CreateService", { ...CREATE, desiredCount: 3 })).toBe(
    "InvalidParameterException: Creation of service was not idempotent.",
  );
});

it("refuses load balancers that its tasks could not be registered with", async () => {
  const refusal = (change: object): Promise<string> => test.refusal("CreateService", { ...CREATE, loadBalancers: [{ ...BALANCED[0], ...change }] });
  expect(await refusal({ containerName: "other" })).toBe("InvalidParameterException: The container other does not exist in the task definition.");
  expect(await refusal({ containerPort: 1 })).toBe("InvalidParameterException: The container app did not have a container port 1 defined.");
  expect(await refusal({ targetGroupArn: `${GROUP}unused` })).toContain("does not have an associated load balancer");
});

it("makes no task twice when it is killed at any write", async () => {
  for (let kill = 1; kill <= 8; kill++) {
    const store = createMemoryStore();
    const crashing = await setUpEcs({ store, controllers: false, seed: `kill${kill}` });
    const { engine, clock } = crashing;
    await crashing.call("CreateCluster", { clusterName: `c${kill}` });
    await crashing.call("RegisterTaskDefinition", definition());
    await crashing.call("CreateService", { ...CREATE, cluster: `c${kill}` });
    const transact = store.transact.bind(store);
    let writes = 0;
    // After the kill-th write the process is as dead: nothing it does reaches the store or the engine any more.
    store.transact = async (batch) => {
      if (++writes > kill) throw new Error("killed");
      return transact(batch);
    };
    const start = engine.start.bind(engine);
    engine.start = async (workload) => {
      if (writes >= kill) throw new Error("killed");
      return start(workload);
    };
    for (const controller of crashing.ecs.controllers) {
      for (const key of await controller.initialKeys()) await controller.reconcile(key).catch(() => {});
    }
    crashing.ecs.close();
    store.transact = transact;
    engine.start = start;
    await using after = await setUpEcs({ store, engine, clock, seed: `after${kill}` });
    await after.settle(20_000);
    const { services } = await after.call("DescribeServices", { cluster: `c${kill}`, services: ["web"] });
    expect(services[0]).toMatchObject({ runningCount: 2, pendingCount: 0 });
    expect(engine.live()).toHaveLength(2);
  }
});

it("protects tasks that are written to at the same time", async () => {
  await test.call("CreateService", CREATE);
  await test.settle();
  const { taskArns } = await test.call("ListTasks", { serviceName: "web" });
  const [answer] = await Promise.all([
    test.call("UpdateTaskProtection", { tasks: taskArns, protectionEnabled: true }),
    ...taskArns.map((resourceArn: string) => test.call("TagResource", { resourceArn, tags: [{ key: "a", value: "b" }] })),
  ]);
  expect(answer.protectedTasks.map((task: Answer) => task.protectionEnabled)).toEqual([true, true]);
  const { tasks } = await test.call("DescribeTasks", { tasks: taskArns, include: ["TAGS"] });
  expect(tasks.map((task: Answer) => task.tags)).toEqual([[{ key: "a", value: "b" }], [{ key: "a", value: "b" }]]);
});

it("does nothing to what has the name of another region's, account's or cluster's", async () => {
  await test.call("CreateCluster", { clusterName: "other" });
  await test.call("CreateService", { ...CREATE, desiredCount: 0 });
  const { tasks } = await test.call("RunTask", { taskDefinition: "web", networkConfiguration: NETWORK });
  const here = "arn:aws:ecs:us-east-1:111122223333";
  const there = "arn:aws:ecs:eu-west-1:111122223333";
  const service = "service/default/web";
  const region = "InvalidParameterException: Invalid Region in ARN";
  expect(await test.refusal("DeleteService", { service: `${there}:${service}` })).toBe(region);
  expect(await test.refusal("DeleteCluster", { cluster: `${there}:cluster/other` })).toBe(region);
  expect(await test.refusal("StopTask", { task: tasks[0].taskArn.replace("us-east-1", "eu-west-1") })).toBe(region);
  expect(await test.refusal("DeregisterTaskDefinition", { taskDefinition: `${there}:task-definition/web:1` })).toBe(region);
  expect(await test.refusal("TagResource", { resourceArn: `${there}:${service}`, tags: [] })).toBe(region);
  expect(await test.refusal("DeleteCluster", { cluster: `${here.replace("1111", "9999")}:cluster/other` })).toBe(
    "InvalidParameterException: Invalid identifier: Identifier is for 999922223333. Your accountId is 111122223333",
  );
  const cluster = "InvalidParameterException: Invalid identifier: Identifier is for cluster default. Your cluster is other";
  expect(await test.refusal("DescribeServices", { cluster: "other", services: [`${here}:${service}`] })).toBe(cluster);
  expect(await test.refusal("StopTask", { cluster: "other", task: tasks[0].taskArn })).toBe(cluster);
  await test.call("DeleteService", { cluster: `${here}:cluster/default`, service: `${here}:${service}` });
  await test.call("StopTask", { task: tasks[0].taskArn });
});
