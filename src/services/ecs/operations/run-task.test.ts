import { afterEach, beforeEach, expect, it } from "vitest";
import { createMemoryStore } from "../../../store/memory/memory-store.ts";
import { definition, type EcsUnderTest, FakeEngine, NETWORK, setUpEcs } from "../testing.ts";

let test: EcsUnderTest;
beforeEach(async () => {
  test = await setUpEcs({ store: createMemoryStore() });
  await test.call("CreateCluster", {});
  await test.call("RegisterTaskDefinition", definition());
});
afterEach(() => test[Symbol.asyncDispose]());

const RUN = { taskDefinition: "web", launchType: "FARGATE", networkConfiguration: NETWORK } as const;
const describe = async (arn: string, include: string[] = []): Promise<ReturnType<typeof JSON.parse>> =>
  (await test.call("DescribeTasks", { tasks: [arn], include })).tasks[0];

it("answers PROVISIONING without an address, then shows what the engine says", async () => {
  test.engine.behaviour = "still";
  const { tasks, failures } = await test.call("RunTask", { ...RUN, startedBy: "ci", tags: [{ key: "a", value: "b" }] });
  expect(failures).toEqual([]);
  expect(tasks[0]).toMatchObject({
    lastStatus: "PROVISIONING",
    desiredStatus: "RUNNING",
    launchType: "FARGATE",
    platformVersion: "1.4.0",
    group: "family:web",
    startedBy: "ci",
    cpu: "256",
    memory: "512",
    version: 1,
    tags: [{ key: "a", value: "b" }],
    attachments: [{ type: "ElasticNetworkInterface", status: "PRECREATED", details: [{ name: "subnetId", value: "subnet-a" }] }],
    containers: [{ name: "app", lastStatus: "PENDING", cpu: "0", networkInterfaces: [] }],
    overrides: { containerOverrides: [{ name: "app" }], inferenceAcceleratorOverrides: [] },
  });
  const arn = tasks[0].taskArn;
  expect(arn).toMatch(/^arn:aws:ecs:us-east-1:111122223333:task\/default\/[0-9a-f]{32}$/);
  test.engine.run(arn.split("/").at(-1));
  const running = await describe(arn);
  expect(running).toMatchObject({ lastStatus: "RUNNING", connectivity: "CONNECTED" });
  expect(running.attachments[0]).toMatchObject({ status: "ATTACHED" });
  expect(running.containers[0].networkInterfaces[0].privateIpv4Address).toMatch(/^10\./);
  expect(running.version).toBeGreaterThan(1);
  expect(running.tags).toBeUndefined();
  expect((await describe(arn, ["TAGS"])).tags).toEqual([{ key: "a", value: "b" }]);
});

it("stops asynchronously with the first caller's reason", async () => {
  const { tasks } = await test.call("RunTask", RUN);
  const arn = tasks[0].taskArn;
  await test.settle();
  test.engine.behaviour = "still";
  const { task } = await test.call("StopTask", { task: arn, reason: "enough" });
  expect(task).toMatchObject({ desiredStatus: "STOPPED", lastStatus: "RUNNING", stopCode: "UserInitiated", stoppedReason: "enough" });
  await test.call("StopTask", { task: arn, reason: "again" });
  await test.settle();
  expect(await describe(arn)).toMatchObject({ lastStatus: "DEACTIVATING", stoppedReason: "enough" });
  test.engine.end(arn.split("/").at(-1), 0);
  expect(await describe(arn)).toMatchObject({
    lastStatus: "STOPPED",
    stopCode: "UserInitiated",
    containers: [{ exitCode: 0, lastStatus: "STOPPED" }],
  });
  expect((await test.call("ListTasks", {})).taskArns).toEqual([]);
  expect((await test.call("ListTasks", { desiredStatus: "STOPPED" })).taskArns).toEqual([arn]);
});

it("shows a task that ended by itself as STOPPED, for an hour", async () => {
  const { tasks } = await test.call("RunTask", RUN);
  const arn = tasks[0].taskArn;
  await test.settle();
  test.engine.end(arn.split("/").at(-1), 3);
  await test.settle();
  expect(await describe(arn)).toMatchObject({
    desiredStatus: "STOPPED",
    stopCode: "EssentialContainerExited",
    stoppedReason: "Essential container in task exited",
  });
  await test.settle(59 * 60_000);
  expect(await describe(arn)).toBeDefined();
  await test.settle(2 * 60_000);
  expect((await test.call("DescribeTasks", { tasks: [arn] })).failures).toEqual([{ arn, reason: "MISSING" }]);
  expect(test.engine.views.size).toBe(0);
});

it("answers AWS's capacity failure for tasks that do not fit, and keeps no trace of them", async () => {
  test.engine.room = 2;
  const { tasks, failures } = await test.call("RunTask", { ...RUN, count: 3 });
  expect(tasks).toHaveLength(2);
  expect(failures).toEqual([
    {
      arn: expect.stringContaining(":task/default/"),
      reason: "RESOURCE:MEMORY",
      detail: "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    },
  ]);
  await test.settle();
  expect((await test.call("ListTasks", {})).taskArns).toHaveLength(2);
  expect(test.engine.starts).toBe(2);
});

it("spreads over the zones of the subnets", async () => {
  const { tasks } = await test.call("RunTask", { ...RUN, count: 6 });
  const zones = tasks.map((task: { availabilityZone: string }) => task.availabilityZone).sort();
  expect(zones).toEqual(["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1b", "us-east-1c", "us-east-1c"]);
});

it("answers the same tasks for the same clientToken, and a conflict for another request", async () => {
  const first = await test.call("RunTask", { ...RUN, clientToken: "t1", count: 2 });
  const again = await test.call("RunTask", { ...RUN, clientToken: "t1", count: 2 });
  const arns = (answer: typeof first): string[] => answer.tasks.map((task: { taskArn: string }) => task.taskArn).sort();
  expect(arns(again)).toEqual(arns(first));
  expect(test.engine.starts).toBe(2);
  expect(await test.refusal("RunTask", { ...RUN, clientToken: "t1", count: 1 })).toMatch(/^ConflictException/);
});

it("forgets a clientToken after a day", async () => {
  const { runTaskTokens } = await import("../records.ts");
  await test.call("RunTask", { ...RUN, clientToken: "t3" });
  await test.settle(23 * 60 * 60 * 1000);
  expect(await test.store.list(runTaskTokens)).toHaveLength(1);
  await test.settle(2 * 60 * 60 * 1000);
  expect(await test.store.list(runTaskTokens)).toEqual([]);
});

it("makes no second task when it is called twice at once with one clientToken", async () => {
  const answers = await Promise.all([1, 2].map(() => test.call("RunTask", { ...RUN, clientToken: "t2" })));
  expect(new Set(answers.map((answer) => answer.tasks[0].taskArn)).size).toBe(1);
  await test.settle();
  expect(test.engine.starts).toBe(1);
});

it("refuses in AWS's words", async () => {
  expect(await test.refusal("RunTask", { ...RUN, cluster: "nope" })).toBe("ClusterNotFoundException: Cluster not found.");
  expect(await test.refusal("RunTask", { ...RUN, taskDefinition: "nope" })).toBe("ClientException: TaskDefinition not found.");
  expect(await test.refusal("RunTask", { ...RUN, networkConfiguration: undefined })).toBe(
    "InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.",
  );
  expect(await test.refusal("RunTask", { ...RUN, networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-x"] } } })).toContain(
    "InvalidSubnetID.NotFound",
  );
  expect(
    await test.refusal("RunTask", {
      ...RUN,
      networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-a"], securityGroups: ["sg-foreign"] } },
    }),
  ).toContain("does not appear to belong to the same VPC as the input subnets");
  expect(await test.refusal("RunTask", { ...RUN, overrides: { containerOverrides: [{ name: "other" }] } })).toBe(
    "InvalidParameterException: Override for container named other is not a container in the TaskDefinition.",
  );
  expect(await test.refusal("RunTask", { ...RUN, launchType: "EC2" })).toContain("launchType=EC2");
  expect(await test.refusal("RunTask", { ...RUN, platformVersion: "9.9.9" })).toMatch(/^PlatformUnknownException/);
  expect(await test.refusal("RunTask", { ...RUN, overrides: { taskRoleArn: "missing" } })).toContain("ECS was unable to assume the role");
  expect(await test.refusal("StopTask", { task: "f".repeat(32) })).toBe("InvalidParameterException: The referenced task was not found.");
  await test.call("DeregisterTaskDefinition", { taskDefinition: "web:1" });
  expect(await test.refusal("RunTask", { ...RUN, taskDefinition: "web:1" })).toBe("ClientException: TaskDefinition is inactive");
});

it("starts what was stored before a crash, once, and sweeps what nobody owns", async () => {
  const store = createMemoryStore();
  const engine = new FakeEngine(test.clock);
  const before = await setUpEcs({ store, engine, clock: test.clock, controllers: false, seed: "before" });
  await before.call("CreateCluster", {});
  await before.call("RegisterTaskDefinition", definition());
  // As if killed between the record and the engine's start, and between the record's deletion and the engine's destroy.
  const start = engine.start.bind(engine);
  engine.start = async () => {
    throw new Error("killed");
  };
  const { tasks } = await before.call("RunTask", RUN);
  engine.start = start;
  await before.call("RunTask", RUN);
  const [orphan] = [...engine.views.values()];
  const { tasks: collection, taskKey } = await import("../records.ts");
  await store.transact([
    { op: "delete", collection, key: taskKey(orphan?.workload ?? { account: "", region: "" }, "default", orphan?.workload.id ?? "") },
  ]);
  before.ecs.close();
  await using after = await setUpEcs({ store, engine, clock: test.clock, seed: "after" });
  await after.settle();
  expect(engine.live().map((view) => view.workload.labels["taskArn"])).toEqual([tasks[0].taskArn]);
  expect(engine.views.has(orphan?.workload.id ?? "")).toBe(false);
});

it("stops a task that the engine never had", async () => {
  const store = createMemoryStore();
  await using other = await setUpEcs({ store, controllers: false });
  await other.call("CreateCluster", {});
  await other.call("RegisterTaskDefinition", definition());
  other.engine.start = async () => {
    throw new Error("not now");
  };
  const { tasks } = await other.call("RunTask", RUN);
  await other.call("StopTask", { task: tasks[0].taskArn });
  const controller = other.ecs.controllers.find((each) => each.name === "ecs-task");
  for (const key of (await controller?.initialKeys()) ?? []) await controller?.reconcile(key);
  const { tasks: shown } = await other.call("DescribeTasks", { tasks: [tasks[0].taskArn] });
  expect(shown[0]).toMatchObject({ lastStatus: "STOPPED", stoppedReason: "Task stopped by user", containers: [{ lastStatus: "STOPPED" }] });
});

it("answers 100 tasks a page and takes the rest with the token", async () => {
  for (let call = 0; call < 3; call++) await test.call("RunTask", { ...RUN, count: 4, startedBy: "x" });
  const first = await test.call("ListTasks", { maxResults: 5, startedBy: "x" });
  const second = await test.call("ListTasks", { maxResults: 100, nextToken: first.nextToken, startedBy: "x" });
  expect(first.taskArns).toHaveLength(5);
  expect(new Set([...first.taskArns, ...second.taskArns]).size).toBe(12);
  expect(second.nextToken).toBeUndefined();
});
